import site from 'consentd:site';
import { decodeChoice } from './decodeChoice';
import { storage } from './storage';
import { storageKey } from './storageKey';
import type { Choice } from './types';

// A clock that was set back makes a choice look as if it came from the future; more than a day of that is
// no choice of ours.
const skew = 864e5;

/** Reads the kept choice, the newer of cookie and localStorage, unless its time is over. */
export function readChoice(): Choice | undefined {
  let newest: Choice | undefined;
  for (const text of [cookie(), storage.get(storageKey)]) {
    const choice = decodeChoice(text);
    if (choice && !(newest && newest.at >= choice.at)) newest = choice;
  }
  const age = newest ? Date.now() - newest.at : 0;
  if (age < site.keep * 1000 && age > -skew) return newest;
  storage.set(storageKey, ''); // the cookie goes by itself
  return undefined;
}

function cookie(): string {
  try {
    const start = storageKey + '=';
    return (document.cookie.split('; ').find((c) => c.startsWith(start)) ?? '').slice(start.length);
  } catch {
    return ''; // a sandboxed frame
  }
}
