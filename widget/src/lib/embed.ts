import site from 'consentd:site';
import { each } from './each';
import { placeholder } from './placeholder';
import type { LocaleText, Service } from './types';
import { warn } from './warn';

/**
 * Stands in for content that waits for a purpose, where a service under it puts content into pages: the one
 * data-service names, else the first. once and always get the id of that service.
 */
export function embed(
  el: HTMLElement,
  id: string,
  text: LocaleText,
  shown: (service: string) => void,
  once: () => void,
  always: (service: string) => void,
): (() => void) | undefined {
  const named = el.dataset['service'];
  let remove: (() => void) | undefined;
  each(site.purposes, (purpose, i) => {
    let service: Service | undefined;
    if (purpose.id === id) each(purpose.services, (s) => !service && s.id && (!named || s.id === named) && (service = s));
    const found = service?.id;
    if (!found) return;
    remove = placeholder(el, service!, text, text.purposes[i]!, once, () => always(found));
    shown(found);
  });
  if (named && !remove) warn('data-service', el);
  return remove;
}
