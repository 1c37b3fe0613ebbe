import site from 'consentd:site';
import { button } from './button';
import { element } from './element';
import { legal } from './legal';
import { listing } from './listing';
import type { LocaleText } from './types';

/** What the first layer can lead to. */
export interface BannerActions {
  accept(): void;
  refuse(): void;
  choose(): void;
}

/**
 * Makes the first layer. As a bar or box it is a region, which takes no focus and traps none; as a modal it is
 * a dialog, to be opened with showModal, that only a choice closes.
 */
export function banner(text: LocaleText, on: BannerActions): HTMLElement {
  return element(
    USES_MODAL ? 'dialog' : 'section',
    { id: 'banner', 'aria-labelledby': 'title', ...(USES_MODAL && { closedby: 'none' }) },
    USES_CONTINUE && button('continue', text.continue, on.refuse),
    element(
      'div',
      { class: 'words' },
      USES_LOGO && element('img', { src: site.logo, alt: '' }),
      element('h2', { id: 'title', ...(USES_MODAL && { tabindex: '-1', autofocus: '' }) }, text.banner[0]),
      element('p', {}, text.banner[1]),
      listing(text.purposes, (p) => element('li', {}, element('b', {}, p[0]), p[1])),
      legal(text, {}),
    ),
    element(
      'div',
      { class: 'actions' },
      button('accept', text.accept, on.accept),
      button('refuse', text.refuse, on.refuse),
      button('choose', text.choose, on.choose),
    ),
  );
}
