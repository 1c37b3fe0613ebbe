import type { Identifier } from './types';

/** The field of a page's form that holds an identifier: the one marked for it, else the first of its type. */
export function formIdentifier(el: HTMLFormElement, kind: Identifier): HTMLInputElement | null {
  return el.querySelector(`[data-consentd-field="${kind}"]`) ?? el.querySelector(`[type="${kind === 'phone' ? 'tel' : kind}"]`);
}
