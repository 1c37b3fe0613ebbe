import { copyScript } from './copyScript';
import { each } from './each';
import { every } from './every';
import { fill } from './fill';
import { guard } from './guard';
import { marked } from './marked';
import { players } from './players';
import { report } from './report';
import { selector } from './selector';
import { warn } from './warn';

/** Puts something in the place of an element that waits; gives what takes it away. */
export type Placeholder = (el: HTMLElement, purpose: string, once: () => void) => (() => void) | undefined;

/** An element that is not a script: filled (undo empties it again), or waiting (remove takes its placeholder). */
interface State {
  undo?: () => void;
  once?: boolean | undefined;
  remove?: (() => void) | undefined;
}

/**
 * Holds back what names purposes, until allowed says yes to each:
 *
 *   - `<script type="text/plain" data-consent="purpose" [data-src] [data-type="module"]>`, with any type that
 *     does not run, is replaced by a running copy: once, in document order, an inline script only after the files
 *     before it;
 *   - any other element with data-consent gets what its data-src, data-srcset, data-href, data-data and data-poster
 *     say, or what the template in it holds; until then placeholder stands in its place, and again afterwards.
 *
 * What is added to the page later is seen too. Gives a function to call when allowed may answer differently.
 *
 * Where nonce is not empty, the page has a nonce policy, and only scripts that carry it are run: otherwise
 * markup that slipped into a page could use the widget to get round the policy.
 */
export function gate(allowed: (purpose: string) => boolean, nonce: string, placeholder: Placeholder): () => void {
  const seen = new WeakSet<Element>();
  const states = new WeakMap<HTMLElement, State>();
  let last = Promise.resolve();
  let files: Promise<unknown> = last;

  async function run(waiting: HTMLScriptElement): Promise<void> {
    const script = copyScript(waiting);
    seen.add(script);
    const file = script.src || script.type === 'module';
    if (!file) await files;
    if (!waiting.isConnected) return;
    if (file && !script.async) {
      const before = files;
      files = new Promise((done) => (script.onload = script.onerror = done)).then(() => before);
    }
    waiting.replaceWith(script);
  }

  function pass(script: HTMLScriptElement): void {
    seen.add(script);
    if (nonce && script.nonce !== nonce) warn('nonce', script);
    else last = last.then(() => run(script)).catch(report);
  }

  function show(el: HTMLElement, once?: boolean): void {
    states.get(el)?.remove?.();
    states.set(el, { undo: fill(el), once });
  }

  function hold(el: HTMLElement, purpose: string): void {
    states.get(el)?.undo?.();
    states.set(el, { remove: USES_EMBEDS ? placeholder(el, purpose, () => show(el, true)) : undefined });
  }

  function scan(): void {
    if (USES_PLAYERS) players();
    each(document.querySelectorAll<HTMLElement>(selector), (el) => {
      if (seen.has(el)) return;
      const purposes = marked(el);
      const script = el instanceof HTMLScriptElement;
      if (!purposes || (script && /^$|module|(java|ecma)script/i.test(el.type))) {
        seen.add(el);
        if (el.dataset['consent']) warn(purposes ? 'type' : 'data-consent', el);
        return;
      }
      const yes = every(purposes, allowed);
      const state = states.get(el);
      if (script) yes && pass(el);
      else if (yes) state?.undo || show(el);
      else if (!state || (state.undo && !state.once)) hold(el, purposes[0]!);
    });
  }

  new MutationObserver(guard(scan)).observe(document, { childList: true, subtree: true });
  return scan;
}
