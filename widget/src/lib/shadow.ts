import type { LocaleText } from './types';

/** Gives an element a shadow root, in which no rule of the page applies. */
export function shadow(tag: string, text: LocaleText): { host: HTMLElement; root: ShadowRoot } {
  const host = document.createElement(tag);
  host.lang = text.lang;
  host.dir = USES_RTL && text.rtl ? 'rtl' : 'ltr';
  return { host, root: host.attachShadow({ mode: 'open' }) };
}
