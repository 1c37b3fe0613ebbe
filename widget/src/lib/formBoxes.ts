import { each } from './each';
import type { FormSite } from './types';
import { warn } from './warn';

/**
 * The boxes of a page's form, each with its place among the purposes of the form. What is no box, names no
 * purpose of the form or one that another box has named is left out, with a warning when complain is set.
 */
export function formBoxes(el: HTMLFormElement, form: FormSite, fn: (box: HTMLInputElement, purpose: FormSite['purposes'][number]) => void, complain?: boolean): void {
  let met = ' ';
  each(el.querySelectorAll<HTMLInputElement>('[data-purpose]'), (box) => {
    const id = box.dataset['purpose'];
    let fine = false;
    each(form.purposes, (purpose) => {
      if (purpose.id !== id || box.type !== 'checkbox' || met.includes(` ${id} `)) return;
      met += id + ' ';
      fine = true;
      fn(box, purpose);
    });
    if (complain && !fine) warn('data-purpose', box);
  });
}
