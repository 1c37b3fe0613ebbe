import { button } from './button';
import { element } from './element';
import { legal } from './legal';
import type { LocaleText } from './types';

/** What the first layer can lead to. */
export interface BannerActions {
  accept(): void;
  refuse(): void;
  choose(): void;
}

/** Makes the first layer: a region, not a dialog; it takes no focus and traps none. */
export function banner(text: LocaleText, on: BannerActions): HTMLElement {
  return element(
    'section',
    { 'aria-labelledby': 'title' },
    element(
      'div',
      { class: 'words' },
      element('h2', { id: 'title' }, text.banner.title),
      element('p', {}, text.banner.text),
      element('ul', {}, ...text.purposes.map(([title, about]) => element('li', {}, element('b', {}, title), about))),
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
