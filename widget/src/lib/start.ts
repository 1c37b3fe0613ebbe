import site from 'consentd:site';
import { expose } from './expose';
import { formNobody } from './formNobody';
import { forms } from './forms';
import { guard } from './guard';
import { pickLocale } from './pickLocale';
import { session, type Session } from './session';
import { warn } from './warn';

/** Starts the widget of the script tag it came with; a second tag on the page changes nothing. */
export function start(): void {
  if (window.consentd && !Array.isArray(window.consentd)) return;
  const tag = (document.currentScript ?? document.querySelector(`script[src*="/s/${site.id}."]`)) as HTMLScriptElement;
  const { src } = tag;
  // Browsers hide the attribute, and keep the property, where a policy with nonces is in force.
  const nonce = tag.getAttribute('nonce') ? '' : tag.nonce;

  const run = guard(() => {
    const text = pickLocale(document.documentElement.lang);
    // The edge is wherever the script came from: …/s/{site}.js beside …/v1/.
    const edge = `${src.slice(0, src.lastIndexOf(`/s/${site.id}.`))}/v1/sites/${site.id}/`;
    const begun = USES_BANNER ? session(edge, nonce, text) : formNobody();
    if (USES_FORMS) forms(edge, text, begun);
    document.addEventListener('click', guard((e) => press(e, begun)));
    expose(begun);
  });
  const ready = () => (document.body ? run() : document.addEventListener('DOMContentLoaded', run));
  // A page rendered ahead of time may never be seen: nobody is asked there.
  if (document.prerendering) document.addEventListener('prerenderingchange', ready);
  else ready();
}

/** Links and buttons of the page: data-consentd="open" or "withdraw". */
function press(e: MouseEvent, begun: Session): void {
  const el = e.target instanceof Element && e.target.closest('[data-consentd]');
  if (!el) return;
  const what = el.getAttribute('data-consentd');
  if (what === 'open' || what === 'withdraw') {
    e.preventDefault();
    begun[what]();
  } else warn('data-consentd', el);
}
