import site from 'consentd:site';
import { button } from './button';
import { element } from './element';
import { legal } from './legal';
import type { Decisions, LocaleText, Purpose, Service } from './types';

/** What the preferences can lead to; closing them otherwise is no choice. */
export interface PreferencesActions {
  accept(): void;
  refuse(): void;
  save(decisions: Decisions): void;
}

// Links leave the preferences open behind them.
const blank = { target: '_blank', rel: 'noopener' };

/**
 * Makes the preferences, to be opened with showModal: the browser then keeps the focus inside, closes on
 * Esc and gives the focus back. Switches stand as decided, or as the wording says when nothing is decided.
 */
export function preferences(text: LocaleText, decided: Decisions | undefined, on: PreferencesActions): HTMLDialogElement {
  const switches: HTMLInputElement[] = [];
  const items = site.purposes.map((purpose, i) => {
    const [title, about] = text.purposes[i]!;
    const item = element('li', {}, head(purpose, title, i), element('p', { id: 'about' + i }, about));
    if (purpose.services[0]) item.append(element('ul', {}, ...purpose.services.map(service)));
    return item;
  });

  function head(purpose: Purpose, title: string, i: number): HTMLElement {
    if (!purpose.asked) return element('div', {}, element('b', {}, title), element('i', {}, text.necessary));
    const box = element('input', { type: 'checkbox', role: 'switch', name: purpose.id, 'aria-describedby': 'about' + i });
    box.checked = decided ? decided[purpose.id] === true : purpose.on;
    switches.push(box);
    return element('label', {}, element('b', {}, title), box);
  }

  const chosen = () => Object.fromEntries(switches.map((box) => [box.name, box.checked]));
  const back = element('button', { type: 'button', id: 'back', 'aria-label': text.back });
  const title = element('h2', { id: 'heading', tabindex: '-1', autofocus: '' }, text.preferences.title);
  const dialog = element(
    'dialog',
    { 'aria-labelledby': 'heading' },
    element('div', { class: 'top' }, title, back),
    element(
      'div',
      { class: 'words' },
      element('p', {}, text.preferences.text),
      element('ul', {}, ...items),
      legal(text, blank),
    ),
    element(
      'div',
      { class: 'actions' },
      button('accept', text.accept, on.accept),
      button('refuse', text.refuse, on.refuse),
      button('save', text.save, () => on.save(chosen())),
    ),
  );
  back.onclick = () => dialog.close();
  return dialog;
}

function service([name, provider, policy]: Service): HTMLElement {
  const shown = policy ? element('a', { href: policy, ...blank }, name) : element('b', {}, name);
  return element('li', {}, shown, ...(provider ? [element('span', {}, provider)] : []));
}
