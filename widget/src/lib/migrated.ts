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

/** What a tool's storage says of its names, and when it was said; NaN where that is not known. */
interface Said {
  at?: number;
  names: Decisions;
}

/**
 * Reads the choice another tool stored. A purpose is granted when each of the tool's names that stand for it was,
 * and left out when none says anything. Where the time is not known, half of the time a choice holds is taken to
 * be over; a choice that holds no longer is none.
 */
export function migrated(): Migrated | undefined {
  const decisions: Decisions = {};
  let at = Date.now() - site.keep * 500;
  each(site.from!, (source) => {
    const text = source.cookie && (readCookie(source.cookie) || storage.get(source.cookie));
    const said = text ? read(source, text) : undefined;
    if (!said || said.at! < Date.now() - site.keep * 1000) return;
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

/** What a tool's storage says; undefined when it makes no sense. */
function read({ kind, names }: Source, stored: string): Said | undefined {
  const said: Decisions = {};
  const all = (list: readonly string[] | undefined, yes: boolean) => each(list ?? [], (name) => (said[name] = yes));
  try {
    const text = /^[[{]/.test(stored) ? stored : decodeURIComponent(stored);
    if (USES_TARTEAUCITRON && kind === 'tarteaucitron') {
      each(text.split('!'), (part) => {
        const pair = part.split('=');
        if (/^(true|false)$/.test(pair[1]!)) said[pair[0]!] = pair[1] === 'true'; // "wait" is no choice
      });
      return { names: said };
    }
    if (USES_OSANO && kind === 'osano') {
      if (/^(allow|deny)$/.test(text)) all(Object.keys(names), text === 'allow'); // "dismiss" is no choice
      return { names: said };
    }
    if (USES_C15T && kind === 'c15t' && text[0] !== '{') return compact(text);
    const value = JSON.parse(USES_FIDES && text[0] !== '{' ? atob(text) : text);
    if (USES_COOKIECONSENT && kind === 'cookieconsent') {
      all(Object.keys(names), false);
      all(value.categories, true);
      return { at: Date.parse(value.consentTimestamp), names: said };
    }
    if (USES_CONSENTLOOP && kind === 'consentloop') {
      all(value.j, false);
      if (value.m !== 'implied') all(value.a, true); // what was not said was not agreed to
      return { at: Date.parse(value.u || value.t), names: said };
    }
    let choices = value;
    let at: number | undefined;
    if (USES_C15T && kind === 'c15t') {
      choices = value.consents;
      at = value.consentInfo?.time;
    }
    if (USES_FIDES && kind === 'fides') {
      choices = value.consent;
      at = Date.parse(value.fides_meta?.updatedAt);
    }
    each(Object.keys(choices), (name) => {
      const yes = choices[name];
      if (/^(true|opt_in)$/.test(yes)) said[name] = true;
      if (/^(false|opt_out)$/.test(yes)) said[name] = false;
    });
    return { at: at!, names: said };
  } catch {
    return undefined;
  }
}

/** c15t's cookie: c.<name>:<0|1>,…,i.t:<ms since 1970>,… */
function compact(text: string): Said {
  const said: Said = { names: {} };
  each(text.split(','), (part) => {
    const pair = part.split(':');
    const key = pair[0]!;
    if (key === 'i.t') said.at = +pair[1]!;
    if (key.slice(0, 2) === 'c.') said.names[key.slice(2)] = pair[1] === '1';
  });
  return said;
}
