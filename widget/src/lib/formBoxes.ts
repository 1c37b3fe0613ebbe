import { each } from './each';
import type { FormSite } from './types';
import { warn } from './warn';

/**
 * Calls fn with each box of a page's form and its purpose. What is no box, names no purpose of the form, or one that
 * another box has named, is left out. With complain, these are named on the console, and boxes that are ticked by
 * default, which is no consent (CJEU C-673/17).
 */
export function formBoxes(
  el: HTMLFormElement,
  form: FormSite,
  fn: (box: HTMLInputElement, purpose: FormSite['purposes'][number]) => void,
  complain?: boolean,
): void {
  let met = ' ';
  each(el.querySelectorAll<HTMLInputElement>('[data-purpose]'), (box) => {
    const id = box.dataset['purpose'] + ' ';
    let fault = 'data-purpose';
    each(form.purposes, (purpose) => {
      if (purpose.id + ' ' !== id || box.type !== 'checkbox' || met.includes(' ' + id)) return;
      met += id;
      fault = box.defaultChecked ? 'checked' : '';
      fn(box, purpose);
    });
    if (complain && fault) warn(fault, box);
  });
}
