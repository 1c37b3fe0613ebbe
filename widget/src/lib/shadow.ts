import css from 'consentd:style';
import type { LocaleText } from './types';

let common: CSSStyleSheet | undefined;

/**
 * Gives an element a shadow root, in which no rule of the page applies, and a constructed sheet, which no policy
 * forbids as it does style elements.
 */
export function shadow(tag: string, text: LocaleText, own?: CSSStyleSheet): { host: HTMLElement; root: ShadowRoot } {
  const host = document.createElement(tag);
  host.lang = text.lang;
  host.dir = USES_RTL && text.rtl ? 'rtl' : 'ltr';
  const root = host.attachShadow({ mode: 'open' });
  if (!common) {
    common = new CSSStyleSheet();
    common.replaceSync(''); // Chromium 156 reads what follows in a quarter of the time
    common.replaceSync(css);
  }
  root.adoptedStyleSheets = own ? [common, own] : [common];
  return { host, root };
}
