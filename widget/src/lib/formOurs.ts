import { button } from './button';
import { each } from './each';
import { element } from './element';
import { every } from './every';
import { formAsk } from './formAsk';
import type { FormEdge } from './formEdge';
import { formIcon } from './formIcon';
import { furnish } from './furnish';
import { guard } from './guard';
import { shadow } from './shadow';
import type { FormHandler, FormSite, FormStatus, FormText, Identifier, LocaleText } from './types';

// How long somebody looks at a button that says it is sending, in ms.
const patience = 1e4;

/**
 * Fills an element of the page with a form: fields, one box for each purpose, who asks, a button; later what came of
 * it. It stands in a shadow root and has the banner's theme. What stood in the element was for pages without
 * scripts, and goes.
 */
export function formOurs(place: HTMLElement, form: FormSite, speaks: LocaleText, text: FormText, edge: FormEdge): FormHandler {
  const words = speaks.words!;
  const shown = { form, locale: speaks.lang, hash: text.wording };
  const since = Date.now();
  let prompt: string | undefined;
  let busy = false;

  const { host, root } = shadow('consentd-form', speaks);
  furnish(root);
  const ask = formAsk(form, text, words);
  const trap = element('input', { name: 'website', class: 'trap', tabindex: '-1', autocomplete: 'off', 'aria-hidden': 'true' });
  const send = element('button', { type: 'submit' }, text.label);
  const outcome = element('div', { role: 'status' });
  const el = element('form', { novalidate: '', 'aria-labelledby': 'title' }, ask.box, outcome);
  ask.box.append(trap, element('div', { class: 'actions' }, send));

  /** While it is being sent a second press does nothing; the button keeps the focus. */
  function work(now: boolean): void {
    busy = now;
    send.setAttribute('aria-disabled', '' + now);
    send.textContent = now ? words.sending : text.label;
  }

  /** Asks, below what went wrong. */
  function again(fault?: string): void {
    outcome.replaceChildren(fault ? element('p', { class: 'error' }, fault) : '');
    ask.box.hidden = false;
  }

  /** Shows what came of it in place of the questions. The focus follows, if it was here. */
  function show(status: 'recorded' | 'pending' | 'waiting', title: string | undefined, said: string | undefined, ...more: (Node | string)[]): void {
    const heading = element('h2', { tabindex: '-1' }, title);
    const here = root.activeElement;
    outcome.replaceChildren(formIcon(status), heading, element('p', {}, said));
    each(more, (part) => outcome.append(part));
    ask.box.hidden = true;
    if (here) heading.focus();
  }

  function submit(): void {
    if (busy) return;
    again();
    const fault = ask.fault();
    if (fault) return fault.focus();
    work(true);
    const who = ask.who();
    const kinds = Object.keys(who) as Identifier[];
    const came: { [kind in Identifier]?: FormStatus } = {};
    const is = (status: FormStatus) => !every(kinds, (kind) => came[kind] !== status);
    let kept = false;

    function settle(): void {
      work(false);
      if (is('refused')) {
        const wrong = root.querySelector<HTMLElement>('[aria-invalid=true]');
        again(wrong ? '' : words.refused);
        wrong?.focus();
      } else if (is('waiting')) {
        kept = true;
        show('waiting', words.error_title, words.waiting, button('retry', words.retry, edge.flush));
      } else if (text.redirect && !kept) location.assign(text.redirect);
      else if (is('pending')) {
        const change = button('change', words.change_address!, () => {
          again();
          root.querySelector('input')!.focus();
        });
        show('pending', words.mailbox_title, text.thanks, element('b', {}, who.email), change);
      } else show('recorded', words.thanks_title, form.optin ? words.thanks : text.thanks);
    }

    setTimeout(
      guard(() => {
        if (every(kinds, (kind) => !!came[kind])) return;
        each(kinds, (kind) => (came[kind] ??= 'waiting'));
        settle();
      }),
      patience,
    );
    const proofs = edge.prove(shown, { who, decisions: ask.decisions(), prompt, trap: trap.value, took: Date.now() - since }, (kind, status, wrong) => {
      came[kind] = status;
      if (wrong) ask.fail(kind);
      if (every(kinds, (k) => !!came[k])) settle();
    });
    proofs.send();
  }

  el.onsubmit = guard((e: SubmitEvent) => {
    e.preventDefault();
    submit();
  });
  root.append(el);
  place.replaceChildren(host);
  return { seen: () => void (prompt = edge.displayed(shown)) };
}
