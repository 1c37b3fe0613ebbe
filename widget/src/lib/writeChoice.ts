import site from 'consentd:site';
import { encodeChoice } from './encodeChoice';
import { storage } from './storage';
import { storageKey } from './storageKey';
import type { Choice } from './types';

/** Keeps a choice, in a first-party cookie and in localStorage, for site.keep seconds from when it was made. */
export function writeChoice(choice: Choice): void {
  const text = encodeChoice(choice);
  storage.set(storageKey, text);
  try {
    const left = site.keep - Math.floor((Date.now() - choice.at) / 1000);
    const where = (USES_DOMAIN ? ';domain=' + site.domain : '') + (location.protocol === 'https:' ? ';secure' : '');
    document.cookie = `${storageKey}=${text};path=/;max-age=${left};samesite=lax${where}`;
  } catch {
    // a sandboxed frame: the choice holds for this page
  }
}
