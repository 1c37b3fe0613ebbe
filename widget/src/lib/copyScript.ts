import { each } from './each';
import { trust } from './trust';

const own = /^(type|src|async|nonce|data-(type|src|consent-src))$/;

/** A script that will run, with everything the held one says. */
export function copyScript(held: HTMLScriptElement): HTMLScriptElement {
  const script = document.createElement('script');
  each(held.attributes, ({ name, value }) => own.test(name) || script.setAttribute(name, value));
  const src = held.dataset['src'] || held.getAttribute('src');
  const trusted = trust();
  script.async = held.hasAttribute('async'); // false keeps the order among files
  script.type = held.dataset['type'] || '';
  script.nonce = held.nonce;
  if (src) script.src = trusted ? trusted.createScriptURL(src) : src;
  else script.text = trusted ? trusted.createScript(held.text) : held.text;
  return script;
}
