import site from 'consentd:site';
import { each } from './each';
import type { LocaleText } from './types';

/**
 * Picks one of the site's locales: for each wanted language in turn an exact match, then one of the same primary
 * language; the first otherwise.
 */
export function pickLocale(page: string, browser: readonly string[]): LocaleText {
  let found: LocaleText | undefined;
  const match = (wanted: string) => {
    const primary = RegExp('^' + wanted.split(/\W/)[0] + '(-|$)', 'i');
    let near: LocaleText | undefined;
    each(site.locales, (l) => {
      if (l.lang.toLowerCase() === wanted.toLowerCase() || (!near && primary.test(l.lang))) near = l;
    });
    found ??= near;
  };
  match(page.trim() || '-');
  each(browser, match);
  return found ?? site.locales[0]!;
}
