import { each } from './each';
import { element } from './element';
import { every } from './every';
import { formField, type FormField } from './formField';
import { legal } from './legal';
import { listing } from './listing';
import type { Decisions, FormSite, FormText, FormWords, Identifier, Service } from './types';

/** The part of a form of ours that asks. */
export interface FormAsk {
  readonly box: HTMLElement;
  /** What keeps it from being sent; each fault is said beside its control. */
  fault(): HTMLElement | undefined;
  who(): { [kind in Identifier]?: string };
  decisions(): Decisions;
  /** Says that the edge did not take an identifier. */
  fail(kind: Identifier): void;
}

// Links leave what was entered behind them.
const blank = { target: '_blank', rel: 'noopener' };

/** Makes the fields, one box for each purpose, ticked as the wording says (never, of a consent), and who asks. */
export function formAsk(form: FormSite, text: FormText, words: FormWords): FormAsk {
  const boxes: HTMLInputElement[] = [];
  const fields: FormField[] = [];
  const blanks = () => every(fields, (f) => !f.input.value.trim());
  each(form.fields, ({ kind, required }, i) => {
    fields[i] = formField(kind, text.fields[i]!, words, required, blanks);
  });
  const none = element('p', { class: 'error', id: 'none' });

  function ticked(): boolean {
    const no = boxes[0] && every(boxes, (box) => !box.checked);
    none.textContent = no ? words.error_none : '';
    each(boxes, (box) => box.setAttribute('aria-invalid', '' + !!no));
    return !no;
  }
  const service = ({ name, provider, policy }: Service) =>
    element('p', { class: 'legal' }, policy ? element('a', { href: policy, ...blank }, name) : element('span', {}, name), !!provider && element('span', {}, provider));

  const purposes = listing(form.purposes, (purpose, i) => {
    const title = element('b', {}, text.purposes[i]![0]);
    const entry = element('li', {}, title, element('p', { id: 'about' + i }, text.purposes[i]![1]));
    each(purpose.services ?? [], (v) => entry.append(service(v)));
    if (purpose.asked) {
      const box = element('input', { type: 'checkbox', name: purpose.id, 'aria-describedby': `about${i} none` });
      box.checked = !!purpose.on;
      box.onchange = () => none.textContent && ticked();
      boxes[boxes.length] = box;
      entry.prepend(element('label', {}, box, title));
    }
    return entry;
  });

  const box = element('div', { class: 'ask' }, element('h2', { id: 'title' }, text.title), element('p', {}, text.text));
  each(fields, (f) => box.append(f.box));
  box.append(element('div', { role: 'group', 'aria-labelledby': 'title' }, purposes, none), legal(text, blank));

  return {
    box,
    fault() {
      let first: HTMLElement | undefined;
      each(fields, (f) => f.check() || (first ??= f.input));
      const fine = ticked();
      return first ?? (fine ? undefined : boxes[0]);
    },
    who() {
      const who: { [kind in Identifier]?: string } = {};
      each(fields, ({ input }, i) => input.value.trim() && (who[form.fields[i]!.kind] = input.value.trim()));
      return who;
    },
    decisions() {
      const decisions: Decisions = {};
      each(boxes, (box) => (decisions[box.name] = box.checked));
      return decisions;
    },
    fail: (kind) => each(form.fields, (field, i) => field.kind === kind && fields[i]!.fail()),
  };
}
