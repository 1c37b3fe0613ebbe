import { button } from './button';
import { element } from './element';
import { furnish } from './furnish';
import { shadow } from './shadow';
import type { LocaleText, Service } from './types';

/**
 * Puts a placeholder over an element that waits: out of the flow and exactly as large as the box the page gives
 * the element, so that nothing moves now or later. An element without a box gets a small one in the flow.
 * Gives a function that takes it away.
 */
export function placeholder(
  el: HTMLElement,
  service: Service,
  text: LocaleText,
  purpose: readonly [title: string, text: string],
  once: () => void,
  always: () => void,
): () => void {
  const box = new CSSStyleSheet();
  const { host, root } = shadow('consentd-embed', text);
  furnish(root, box);
  root.append(
    element(
      'figure',
      { role: 'group', 'aria-label': service.name },
      element('b', {}, purpose[0]),
      element('p', {}, text.embeds![service.id!]!),
      element('p', { class: 'basis' }, purpose[1]),
      element(
        'p',
        { class: 'legal' },
        element('a', { href: service.policy ?? text.policy[1], target: '_blank', rel: 'noopener' }, service.name),
        !!service.provider && element('span', {}, service.provider),
      ),
      element('div', { class: 'actions' }, button('once', text.once!, once), button('always', text.always!, always)),
    ),
  );

  // Out of the flow before the element is measured: in it, the placeholder would push the element away.
  const place = (rest: string) => box.replaceSync(`:host{position:absolute!important;${rest}}`);
  const fit = () => {
    const { offsetLeft, offsetTop, offsetWidth, offsetHeight } = el;
    if (offsetWidth && offsetHeight) {
      place(`left:${offsetLeft}px!important;top:${offsetTop}px!important;width:${offsetWidth}px!important;height:${offsetHeight}px!important`);
    } else box.replaceSync('');
  };
  const observer = new ResizeObserver(fit);
  el.inert = true;
  place('');
  el.before(host);
  observer.observe(el);
  observer.observe(el.offsetParent || document.body);
  fit();
  return () => {
    observer.disconnect();
    host.remove();
    el.inert = false;
  };
}
