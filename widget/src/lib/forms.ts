import site from 'consentd:site';
import { each } from './each';
import { formEdge } from './formEdge';
import { formOurs } from './formOurs';
import { formYours } from './formYours';
import { guard } from './guard';
import { pickLocale } from './pickLocale';
import type { Session } from './session';
import type { FormHandler, LocaleText } from './types';
import { warn } from './warn';

/**
 * Finds the forms of the page, now and when they are added later: `<div data-consentd-form="id">`, which is filled,
 * and `<form data-consentd-form="id">`, which is followed. Each speaks the language of where it stands.
 */
export function forms(url: string, text: LocaleText, begun: Session): void {
  const edge = formEdge(url, begun);
  const found = new WeakMap<EventTarget, FormHandler | undefined>();
  const eye = new IntersectionObserver((entries) =>
    each(entries, ({ isIntersecting, target }) => {
      if (!isIntersecting) return;
      eye.unobserve(target);
      guard(found.get(target)!.seen)();
    }),
  );

  function meet(el: HTMLElement): void {
    found.set(el, undefined);
    const own = el.localName === 'form';
    each(site.forms!, (form, i) => {
      if (form.id !== el.dataset['consentdForm'] || form.yours !== own) return;
      const speaks = pickLocale(el.closest<HTMLElement>('[lang]')?.lang ?? '', [text.lang]);
      if (USES_YOURS && own) found.set(el, formYours(el as HTMLFormElement, form, speaks.lang, edge));
      else if (USES_OURS) found.set(el, formOurs(el, form, speaks, speaks.forms![i]!, edge));
    });
    if (found.get(el)) eye.observe(el);
    else warn('data-consentd-form', el);
  }

  const scan = guard(() => each(document.querySelectorAll<HTMLElement>('[data-consentd-form]'), (el) => found.has(el) || guard(meet)(el)));
  new MutationObserver(scan).observe(document, { childList: true, subtree: true });
  if (USES_YOURS) {
    addEventListener('submit', guard((e: SubmitEvent) => found.get(e.target!)?.submit?.(e)), true);
    addEventListener('formdata', guard((e: FormDataEvent) => found.get(e.target!)?.taken?.()), true);
    begun.submitted = (form) => found.get(form)?.submitted?.();
  }
  scan();
}
