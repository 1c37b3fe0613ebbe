import { each } from './each';
import { trust } from './trust';

/** A script of a type that will run, with everything else the held one says. */
export function copyScript(held: HTMLScriptElement, type = held.dataset['type'] || ''): HTMLScriptElement {
  const script = document.createElement('script');
  each(held.attributes, ({ name, value }) => name === 'src' || script.setAttribute(name, value));
  const src = held.dataset['src'] || (USES_CONSENTLOOP && held.dataset['consentSrc']) || held.getAttribute('src');
  const trusted = trust();
  script.async = held.hasAttribute('async'); // false keeps the order among files
  script.type = type;
  script.nonce = held.nonce;
  if (src) script.src = trusted ? trusted.createScriptURL(src) : src;
  else script.text = trusted ? trusted.createScript(held.text) : held.text;
  return script;
}
