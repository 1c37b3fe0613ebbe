import { element } from './element';
import type { FormWords, Identifier } from './types';

/** A field of a form of ours. */
export interface FormField {
  readonly box: HTMLElement;
  readonly input: HTMLInputElement;
  /** Whether what was entered may be an identifier; says so beside the field when not. */
  check(): boolean;
  /** Says that the edge did not take what was entered. */
  fail(): void;
}

// The edge decides what an address is (consent.ParseSubject). These find what was left half done.
const whole = { email: /^[^\s@]+@[^\s@.]+(\.[^\s@.]+)+$/, phone: /(\d\D*){6}/ };

/** Makes a field. Of several that are not required one is needed: alone says that no other was given either. */
export function formField(
  kind: Identifier,
  said: readonly [label: string, hint: string],
  words: FormWords,
  required: boolean,
  alone: () => boolean,
): FormField {
  const error = element('p', { class: 'error', id: kind + '-error' });
  const input = element('input', {
    id: kind,
    name: kind,
    type: kind === 'phone' ? 'tel' : kind,
    autocomplete: kind === 'phone' ? 'tel' : kind,
    spellcheck: 'false',
    'aria-describedby': `${kind}-hint ${kind}-error`,
    'aria-required': '' + required,
  });
  const invalid = words[`error_${kind}`]!;

  function say(what: string): boolean {
    error.textContent = what;
    input.setAttribute('aria-invalid', '' + !!what);
    return !what;
  }
  function check(): boolean {
    const value = input.value.trim();
    const lacking = required ? words.error_missing! : alone() ? words.error_one_field! : '';
    return say(!value ? lacking : whole[kind].test(value) ? '' : invalid);
  }
  input.onchange = () => input.value && check();
  input.oninput = () => error.textContent && check();

  return {
    input,
    check,
    fail: () => void say(invalid),
    box: element(
      'div',
      { class: 'field' },
      element('label', { for: kind }, said[0], !required && element('small', {}, words.optional)),
      element('p', { class: 'hint', id: kind + '-hint' }, said[1]),
      input,
      error,
    ),
  };
}
