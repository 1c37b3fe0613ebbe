import { each } from './each';
import { element } from './element';
import { formBoxes } from './formBoxes';
import type { FormEdge, FormProofs } from './formEdge';
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
 * an identifier marked data-consentd-field, or found by its type. What is shown is reported when it comes into view.
 * When the form is about to be submitted, the ids of the proofs are put in the hidden field consentd_proof; what was
 * decided is recorded when it is submitted.
 *
 * A box that is ticked by default is no consent: it counts as left empty, and its page hears of it.
 *
 * # Why formdata
 *
 * A submit event says that somebody pressed the button; its page may refuse what was entered, and then nothing was
 * sent. Whoever does send it takes its data first: the browser, the page's form.submit() after a while, and programs
 * that make a FormData of it. The event formdata tells of all three, and preventDefault of nothing. It does not tell
 * of programs that read field by field, nor whether one that makes a FormData only looks at it: those say
 * consentd.submitted(form), these also have the attribute data-consentd-wait. What is taken after somebody went on
 * filling in is a draft.
 */
export function formYours(el: HTMLFormElement, form: FormSite, locale: string, edge: FormEdge): FormHandler {
  const said: FormSaid = {};
  const since = Date.now();
  let prompt: string | undefined;
  let last = '';
  let passing = false;
  let hash = '';
  let proofs: FormProofs | undefined;
  let pressed = 0; // 1: the button was, and nothing is recorded; 2: and somebody has gone on filling in

  let doc: string;
  function read(button?: HTMLElement | null): FormShown {
    const now = formWording(el, form, locale, said, button);
    if (now !== doc) hash = formHash((doc = now));
    return { form, locale, hash, doc };
  }

  /** Makes the proofs of what stands in the form. Pressed again, because the page wanted something else corrected, it is the same answer. */
  function prove(button?: HTMLElement | null): void {
    const shown = read(button);
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
    if (now !== last) {
      last = now;
      proofs =
        Object.keys(who)[0] && Object.keys(decisions)[0]
          ? edge.prove(shown, { who, decisions, prompt, took: Date.now() - since }, (_, status) => {
              if (status === 'refused') last = '';
            })
          : undefined;
    }
    let field = el.querySelector<HTMLInputElement>('[name=consentd_proof]');
    if (!field) el.append((field = element('input', { type: 'hidden', name: 'consentd_proof' })));
    field.value = proofs?.ids ?? '';
  }

  function send(): void {
    pressed = 0;
    proofs?.send();
  }

  each(form.fields, ({ kind, required }) => required && !formIdentifier(el, kind) && warn('data-consentd-field', el));
  el.addEventListener('change', guard(() => read()));
  el.addEventListener('input', (e) => e.isTrusted && pressed && (pressed = 2));

  return {
    seen() {
      formBoxes(el, form, () => {}, true);
      prompt = edge.displayed(read());
    },
    taken() {
      if (pressed === 1 && !el.hasAttribute('data-consentd-wait')) send();
    },
    submitted() {
      if (!pressed) prove();
      send();
    },
    submit(e) {
      const { submitter } = e;
      prove(submitter);
      pressed = 1;
      const ready = !passing && e.isTrusted && proofs?.ready();
      if (!ready) return;
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
      void ready.then(once, once);
    },
  };
}
