import site from 'consentd:site';
import { button } from './button';
import { each } from './each';
import { element } from './element';
import { legal } from './legal';
import { listing } from './listing';
import type { Decisions, LocaleText, Service } from './types';

/** What the preferences can lead to; closing them otherwise is no choice. */
export interface PreferencesActions {
  accept(): void;
  refuse(): void;
  save(decisions: Decisions): void;
  /** Makes what offers the receipt of the choice in force; missing where there is none. */
  receipt?(): HTMLElement;
}

// Links leave the preferences open behind them.
const blank = { target: '_blank', rel: 'noopener' };

/**
 * Makes the preferences, to be opened with showModal: the browser then keeps the focus inside, closes on
 * Esc and gives the focus back. Switches stand as decided, or as the wording says when nothing is decided.
 */
export function preferences(text: LocaleText, decided: Decisions, on: PreferencesActions): HTMLDialogElement {
  let lifetimes = 0; // used so far: they are listed in the order of purposes, services and cookies

  const items = listing(site.purposes, (purpose, i) => {
    const words = text.purposes[i]!;
    const title = element('b', {}, words[0]);
    let head: HTMLElement = element('div', {}, title, element('i', {}, text.necessary));
    if (purpose.asked) {
      const box = element('input', { type: 'checkbox', role: 'switch', name: purpose.id, 'aria-describedby': 'about' + i });
      box.checked = decided[purpose.id] ?? !!purpose.on;
      head = element('label', {}, title, box);
    }
    return element(
      'li',
      {},
      head,
      element('p', { id: 'about' + i }, words[1]),
      USES_BASES && !!text.bases![i] && element('p', { class: 'basis' }, text.bases![i]),
      USES_SERVICES && !!purpose.services[0] && listing(purpose.services, service),
    );
  });

  function service({ name, provider, policy, cookies }: Service): HTMLElement {
    const entry = element(
      'li',
      {},
      policy ? element('a', { href: policy, ...blank }, name) : element('b', {}, name),
      !!provider && element('span', {}, provider),
    );
    if (USES_COOKIES) {
      each(cookies || [], (cookie) => {
        const life = text.lifetimes![lifetimes++];
        entry.append(element('small', {}, element('code', {}, cookie), !!life && element('span', {}, life)));
      });
    }
    return entry;
  }

  function save(): void {
    const chosen: Decisions = {};
    each(dialog.querySelectorAll('input'), (box) => (chosen[box.name] = box.checked));
    on.save(chosen);
  }

  const back = element('button', { type: 'button', id: 'back', 'aria-label': text.back });
  const dialog = element(
    'dialog',
    { 'aria-labelledby': 'heading' },
    element('div', { class: 'top' }, element('h2', { id: 'heading', tabindex: '-1', autofocus: '' }, text.preferences[0]), back),
    element('div', { class: 'words' }, element('p', {}, text.preferences[1]), items, legal(text, blank)),
    element(
      'div',
      { class: 'actions' },
      button('accept', text.accept, on.accept),
      button('refuse', text.refuse, on.refuse),
      button('save', text.save, save),
    ),
  );
  if (USES_RECEIPT && on.receipt) dialog.children[1]!.append(on.receipt());
  back.onclick = () => dialog.close();
  return dialog;
}
