import { guard } from './guard';

type Allowed = (purpose: string) => boolean;

/**
 * Holds back `<script type="text/plain" data-consent="purpose" [data-src] [data-type="module"]>` until
 * allowed says yes to each purpose named, then replaces it by a running copy: once, in document order, an
 * inline script only after the files before it. Scripts added to the page later are seen too. Gives a
 * function to call when allowed may answer differently.
 *
 * Where nonce is not empty, the page has a nonce policy, and only scripts that carry it are
 * run: otherwise markup that slipped into a page could use the widget to get round the policy.
 */
export function gate(allowed: Allowed, nonce: string): () => void {
  const seen = new WeakSet<HTMLScriptElement>();
  let last: Promise<unknown> = Promise.resolve();
  let files: Promise<unknown>[] = [];

  async function run(held: HTMLScriptElement): Promise<void> {
    const script = copy(held);
    const file = script.src || script.type === 'module';
    if (!file) {
      await Promise.all(files);
      files = [];
    }
    if (!held.isConnected) return;
    if (file && !script.async) files.push(new Promise((done) => (script.onload = script.onerror = done)));
    held.replaceWith(script);
  }

  function scan(): void {
    for (const el of Array.from(document.scripts)) {
      const purposes = el.dataset['consent'];
      if (el.type !== 'text/plain' || !purposes || seen.has(el) || !purposes.trim().split(/\s+/).every(allowed)) continue;
      seen.add(el);
      if (nonce && el.nonce !== nonce) console.warn('consentd: not run, it lacks the nonce of the page:', el);
      else last = last.then(() => run(el)).catch((err) => console.error('consentd:', err));
    }
  }

  new MutationObserver(guard(scan)).observe(document, { childList: true, subtree: true });
  return scan;
}

const own = ['type', 'src', 'async', 'nonce', 'data-src', 'data-type'];

/** A script that will run, with everything the held one says. */
function copy(held: HTMLScriptElement): HTMLScriptElement {
  const script = document.createElement('script');
  for (const { name, value } of Array.from(held.attributes)) {
    if (!own.includes(name)) script.setAttribute(name, value);
  }
  const src = held.dataset['src'] || held.getAttribute('src');
  const trust = policy();
  script.async = held.hasAttribute('async'); // false keeps the order among files
  script.type = held.dataset['type'] ?? '';
  script.nonce = held.nonce;
  if (src) script.src = trust ? trust.createScriptURL(src) : src;
  else script.text = trust ? trust.createScript(held.text) : held.text;
  return script;
}

let made: ReturnType<NonNullable<Window['trustedTypes']>['createPolicy']> | undefined;

/**
 * The Trusted Types policy. The page's own gated scripts are what it vouches for, and nothing else ever passes
 * through it.
 */
function policy(): typeof made {
  const same = (s: string) => s;
  try {
    made ??= window.trustedTypes?.createPolicy('consentd', { createScript: same, createScriptURL: same });
  } catch {
    // The page lists the policies it takes, and not this one: its default policy, if any, decides.
  }
  return made;
}
