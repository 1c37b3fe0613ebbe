import site from 'consentd:site';
import { each } from './each';
import type { LocaleText } from './types';

/**
 * Picks one of the site's locales: for the page's language, then for each of browser (those the visitor has set, when
 * it is not given), an exact match, then one of the same primary language; the first otherwise.
 */
export function pickLocale(page: string, browser?: readonly string[]): LocaleText {
  let found: LocaleText | undefined;
  const primary = (lang: string) => lang.split('-')[0];
  const match = (wanted: string) => {
    const low = wanted.toLowerCase();
    let near: LocaleText | undefined;
    each(site.locales, (l) => {
      const lang = l.lang.toLowerCase();
      if (lang === low || (!near && primary(lang) === primary(low))) near = l;
    });
    found ??= near;
  };
  match(page);
  if (!found) each(browser ?? navigator.languages, match);
  return found ?? site.locales[0]!;
}
