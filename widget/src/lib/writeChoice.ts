import site from 'consentd:site';
import { encodeChoice } from './encodeChoice';
import { storage } from './storage';
import { storageKey } from './storageKey';
import type { Choice } from './types';

/** Keeps a choice, in a first-party cookie and in localStorage, for site.keep seconds from now. */
export function writeChoice(choice: Choice): void {
  const text = encodeChoice(choice);
  storage.set(storageKey, text);
  try {
    const secure = location.protocol === 'https:' ? ';secure' : '';
    document.cookie = `${storageKey}=${text};path=/;max-age=${site.keep};samesite=lax${secure}`;
  } catch {
    // a sandboxed frame: the choice holds for this page
  }
}
