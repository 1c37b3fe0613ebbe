import site from 'consentd:site';
import { decodeChoice } from './decodeChoice';
import { readCookie } from './readCookie';
import { storage } from './storage';
import { storageKey } from './storageKey';
import type { Choice } from './types';

/**
 * Reads the kept choice, the newer of cookie and localStorage, unless its time is over. The page waits for cookies
 * to be fetched from another process: without them it is localStorage alone.
 */
export function readChoice(cookies: boolean): Choice | undefined {
  const cookie = cookies ? decodeChoice(readCookie(storageKey)) : undefined;
  const local = decodeChoice(storage.get(storageKey));
  const newest = cookie && !(local && local.at > cookie.at) ? cookie : local;
  const age = newest ? Date.now() - newest.at : 0;
  // A clock that was set back makes a choice look as if it came from the future; more than a day of that is no choice of ours.
  if (age < site.keep * 1000 && age > -864e5) return newest;
  storage.set(storageKey, ''); // the cookie goes by itself
  return undefined;
}
