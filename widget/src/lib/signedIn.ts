import site from 'consentd:site';
import { decodeChoice } from './decodeChoice';
import { each } from './each';
import { encodeChoice } from './encodeChoice';
import { json } from './json';
import { outbox, type Outbox } from './outbox';
import { post } from './post';
import { storage } from './storage';
import { storageKey } from './storageKey';
import type { Choice, ConsentPost, Decisions } from './types';

/** What this tab knows of the person the site has signed in. */
export interface SignedIn {
  /** The account's own choice, which names no device; undefined when nobody is signed in. */
  choice(): Choice | undefined;
  /** Keeps a choice the person has made. */
  keep(choice: Choice): void;
  /** Who decides: the account, by the token the site's server vouches with, else the device. */
  subject(device: string): ConsentPost['subject'];
  /** What takes choices on their way to the edge: those of a person go with the tab too. */
  out(other: Outbox): Outbox;
  /** Asks the edge whose token it is, and takes over that account's choice; null: nobody's. False: nothing changed. */
  become(token: string | null): Promise<boolean>;
}

/**
 * Opens what this tab knows. It is in sessionStorage alone and goes with the tab: the choice the device has made while
 * nobody was signed in is another one, and comes back with the sign-out (CNIL délib. 2025-131).
 */
export function signedIn(edge: string): SignedIn {
  const key = storageKey + '_account';
  const parts = storage.get(key).split(' ');
  let token = parts[0]!;
  let choice = decodeChoice(parts[1] ?? '');
  if (choice?.print !== site.print) choice = undefined;
  const theirs = outbox(key + '_outbox', edge);
  void theirs.flush();
  let turn = 0; // the last call of become

  function keep(next: Choice | undefined): void {
    choice = next && { ...next, device: '-' };
    storage.set(key, choice ? token + ' ' + encodeChoice(choice) : '');
  }

  return {
    choice: () => choice && { ...choice, device: '' },
    keep,
    subject: (device) => (choice ? { person: token } : { device }),
    out: (other) => (choice ? theirs : other),
    async become(next) {
      const mine = ++turn;
      const answer = next ? await post(edge + 'identify', json({ token: next })) : undefined;
      const said = await answer?.json().catch(() => 0);
      // Out of date, or no answer: what applied goes on.
      if (mine !== turn || (next && (!answer || answer.status >= 500 || answer.status === 429))) return false;
      if (answer && !answer.ok) console.warn('consentd: identify refused:', answer.status, said.code);
      token = next ?? '';
      const decisions: Decisions = {};
      each(site.purposes, ({ id, asked }) => {
        const status: string = said?.decisions?.[id]?.status;
        if (asked && /^(granted|denied|withdrawn)$/.test(status)) decisions[id] = status === 'granted';
      });
      keep(answer?.ok ? { device: '', at: Date.now(), print: site.print, wording: 'account', decisions } : undefined);
      return true;
    },
  };
}
