import site from 'consentd:site';
import { expose } from './expose';
import { guard } from './guard';
import { pickLocale } from './pickLocale';
import { session } from './session';

/** Starts the widget of the script tag it came with; a second tag on the page changes nothing. */
export function start(): void {
  if (window.consentd && !Array.isArray(window.consentd)) return;
  const tag = (document.currentScript ?? document.querySelector(`script[src*="/s/${site.id}."]`)) as HTMLScriptElement;
  const { src } = tag;
  // Browsers hide the attribute, and keep the property, where a policy with nonces is in force.
  const nonce = tag.getAttribute('nonce') ? '' : tag.nonce;

  const run = guard(() => {
    const langs = site.locales.map((l) => l.lang);
    const text = site.locales[pickLocale([document.documentElement.lang, ...navigator.languages], langs)]!;
    // The edge is wherever the script came from: …/s/{site}.js beside …/v1/.
    const begun = session(new URL(`../v1/sites/${site.id}/`, src).href, nonce, text);
    document.addEventListener('click', (e) => {
      const opener = e.target instanceof Element && e.target.closest('[data-consentd="open"]');
      if (!opener) return;
      e.preventDefault();
      guard(begun.open)();
    });
    expose(begun);
  });
  if (document.body) run();
  else document.addEventListener('DOMContentLoaded', run);
}
