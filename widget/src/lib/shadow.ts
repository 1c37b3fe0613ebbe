import { sheet } from './sheet';
import type { LocaleText } from './types';

/** Gives an element a shadow root, in which no rule of the page applies, with the sheet of a banner. */
export function shadow(tag: string, text: LocaleText): { host: HTMLElement; root: ShadowRoot } {
  const host = document.createElement(tag);
  host.lang = text.lang;
  host.dir = USES_RTL && text.rtl ? 'rtl' : 'ltr';
  const root = host.attachShadow({ mode: 'open' });
  root.adoptedStyleSheets = [sheet(0)];
  return { host, root };
}
