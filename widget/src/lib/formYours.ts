import { each } from './each';
import { element } from './element';
import { formBoxes } from './formBoxes';
import type { FormEdge } from './formEdge';
import { formHash } from './formHash';
import { formIdentifier } from './formIdentifier';
import { formWording, type FormSaid } from './formWording';
import { guard } from './guard';
import { json } from './json';
import type { Decisions, FormHandler, FormShown, FormSite, Identifier } from './types';
import { warn } from './warn';

// How long the page's submission may wait for an answer of the edge, in ms. 300 are promised.
const patience = 250;

/**
 * Follows a form the page draws: `<form data-consentd-form="id">` with boxes marked data-purpose, and the field of
 * an identifier marked data-consentd-field, or found by its type. What is shown is reported when it comes into view;
 * what was decided when the form is submitted, whatever the page then does. The ids of the proofs are put in the
 * hidden field consentd_proof.
 *
 * A box that is ticked by default is no consent: it counts as left empty, and its page hears of it.
 */
export function formYours(el: HTMLFormElement, form: FormSite, locale: string, edge: FormEdge): FormHandler {
  const said: FormSaid = {};
  const since = Date.now();
  let prompt: string | undefined;
  let last = '';
  let passing = false;
  let hash = '';
  let proofs = '';

  let doc: string;
  function read(pressed?: HTMLElement | null): FormShown {
    const now = formWording(el, form, locale, said, pressed);
    if (now !== doc) hash = formHash((doc = now));
    return { form, locale, hash, doc };
  }

  /** Records what stands in the form; gives what has to be waited for. */
  function record(pressed: HTMLElement | null): Promise<void> | undefined {
    const shown = read(pressed);
    const decisions: Decisions = {};
    formBoxes(el, form, (box, { id }) => {
      if (said[id]) decisions[id] = box.checked && !box.defaultChecked;
      else warn('label', box);
    });
    const who: { [kind in Identifier]?: string } = {};
    each(form.fields, ({ kind }) => {
      const value = formIdentifier(el, kind)?.value.trim();
      if (value) who[kind] = value;
    });
    const now = hash + json(who) + json(decisions);
    if (!Object.keys(who)[0] || !Object.keys(decisions)[0] || now === last) return undefined;
    last = now; // pressed again, because the page wanted something else corrected, it is the same answer
    const done = edge.record(shown, { who, decisions, prompt, took: Date.now() - since }, (_, status) => {
      if (status === 'refused') last = '';
    });
    proofs = done.proofs;
    return done.sent;
  }

  function tell(): void {
    let field = el.querySelector<HTMLInputElement>('[name=consentd_proof]');
    if (!field) el.append((field = element('input', { type: 'hidden', name: 'consentd_proof' })));
    field.value = proofs;
  }

  each(form.fields, ({ kind, required }) => required && !formIdentifier(el, kind) && warn('data-consentd-field', el));
  el.addEventListener('change', guard(() => read()));

  return {
    seen() {
      formBoxes(el, form, () => {}, true);
      prompt = edge.displayed(read());
    },
    submit(e) {
      if (passing) return;
      const { submitter } = e;
      const sent = record(submitter);
      tell();
      if (!sent || !e.isTrusted) return;
      // The edge does not know this wording yet. What does not arrive in time is kept, and sent later.
      e.preventDefault();
      e.stopImmediatePropagation();
      const go = () => {
        const { requestSubmit } = HTMLFormElement.prototype;
        passing = true;
        try {
          requestSubmit.call(el, submitter);
        } catch {
          requestSubmit.call(el); // the button is gone
        }
        passing = false;
      };
      let gone = false;
      const once = guard(() => gone || ((gone = true), go()));
      setTimeout(once, patience);
      void sent.then(once, once);
    },
  };
}
