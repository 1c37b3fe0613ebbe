import site from 'consentd:site';
import { each } from './each';
import { readCookie } from './readCookie';
import { storage } from './storage';
import type { Decisions, Source } from './types';

/** A choice that was made with another tool. */
export interface Migrated {
  readonly at: number;
  readonly decisions: Decisions;
}

/**
 * Reads the choice another tool stored. A purpose is granted when each of the tool's names that stand for it was,
 * and left out when none says anything. Where the time is not known, half of the time a choice holds is taken to
 * be over.
 */
export function migrated(): Migrated | undefined {
  const decisions: Decisions = {};
  let at = Date.now() - site.keep * 500;
  each(site.from!, (source) => {
    const text = readCookie(source.cookie) || storage.get(source.cookie);
    const said = text && read(source, text);
    if (!said) return;
    at = said.at || at;
    each(Object.keys(source.names), (name) => {
      const purpose = source.names[name]!;
      const yes = said.names[name];
      if (yes !== undefined) decisions[purpose] = yes && decisions[purpose] !== false;
    });
  });
  each(site.purposes, (p) => p.asked || delete decisions[p.id]);
  return Object.keys(decisions)[0] ? { at, decisions } : undefined;
}

/** What a tool's storage says of each of its names; undefined when it makes no sense. */
function read({ kind, names }: Source, stored: string): { at?: number; names: Decisions } | undefined {
  const said: Decisions = {};
  if (USES_TARTEAUCITRON && kind === 'tarteaucitron') {
    each(stored.split('!'), (part) => {
      const pair = part.split('=');
      if (/^(true|false)$/.test(pair[1]!)) said[pair[0]!] = pair[1] === 'true'; // "wait" is no choice
    });
    return { names: said };
  }
  try {
    const value = JSON.parse(/^[[{]/.test(stored) ? stored : decodeURIComponent(stored));
    if (USES_COOKIECONSENT && kind === 'cookieconsent') {
      each(Object.keys(names), (name) => (said[name] = false));
      each(value.categories, (name: string) => (said[name] = true));
      return { at: Date.parse(value.consentTimestamp), names: said };
    }
    each(Object.keys(value), (name) => typeof value[name] === 'boolean' && (said[name] = value[name]));
    return { names: said };
  } catch {
    return undefined;
  }
}
