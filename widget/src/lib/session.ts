import site from 'consentd:site';
import { each } from './each';
import { embed } from './embed';
import { every } from './every';
import { forget } from './forget';
import { gate } from './gate';
import { guard } from './guard';
import { json } from './json';
import { migrated } from './migrated';
import { outbox } from './outbox';
import { pageAddress } from './pageAddress';
import { post } from './post';
import { readChoice } from './readChoice';
import { signals } from './signals';
import { signedIn } from './signedIn';
import { stage } from './stage';
import { storageKey } from './storageKey';
import type { Choice, ConsentPost, Decisions, LocaleText, Method, Surface } from './types';
import { uuid } from './uuid';
import { writeChoice } from './writeChoice';

/** One page's dealings with one visitor. */
export interface Session {
  /** The choice in force. */
  choice(): Choice | undefined;
  /** Whether purpose may be acted on now. */
  allowed(purpose: string): boolean;
  open(): void;
  accept(): void;
  refuse(): void;
  withdraw(): void;
  set(some: Decisions): void;
  /** Takes over the choice of the account a token stands for; null: nobody is signed in any more. */
  identify?(token: string | null): void;
}

/** Starts the session: asks unless a choice is in force, lets through what it allows, sends what waits. */
export function session(edge: string, nonce: string, text: LocaleText): Session {
  const all = (value: boolean): Decisions => {
    const decisions: Decisions = {};
    each(site.purposes, (p) => p.asked && (decisions[p.id] = value));
    return decisions;
  };
  const asked = Object.keys(all(false));
  const shown = stage(text, guard(open));
  const sent = outbox(storageKey + '_outbox', edge);
  const prompts: { [surface: string]: string } = {}; // ids of this page's displays
  const lost: { [purpose: string]: boolean } = {}; // taken back on this page
  const person = USES_IDENTIFY ? signedIn(edge) : undefined!; // never used without
  let kept = readChoice();

  const choice = () => (USES_IDENTIFY && person.choice()) || (kept?.print === site.print ? kept : undefined);
  const decided = (): Decisions => choice()?.decisions ?? {};
  const complete = () => every(asked, (id) => decided()[id] !== undefined);
  const pass = gate(allowed, nonce, (el, purpose, once) =>
    USES_EMBEDS
      ? embed(
          el, purpose, text,
          (service) => displayed(`embed:${service}`),
          () => { once(); el.focus(); },
          (service) => { decide(`embed:${service}`, 'custom', { [purpose]: true }); el.focus(); },
        )
      : undefined);

  function allowed(purpose: string): boolean {
    if (USES_MIGRATE && purpose[0] === '!') return !!lost[purpose.slice(1)];
    return decided()[purpose] === true || !every(site.purposes, (p) => p.id !== purpose || p.asked);
  }

  /** Reports that a surface is displayed, once a page. */
  function displayed(surface: Surface): void {
    if (prompts[surface]) return;
    const prompt = (prompts[surface] = uuid());
    const body = json({ prompt, surface, wording: text.hashes[surface], locale: text.lang, page: pageAddress() });
    setTimeout(() => void post(edge + 'prompts', body)); // what is displayed comes first
  }

  /** Keeps decisions and reports them. A part of them changes nothing about when the rest was decided. */
  function decide(surface: Surface, method: Method, decisions: Decisions, at = Date.now()): void {
    const before = every(asked, (id) => decisions[id] !== undefined) ? undefined : choice();
    const device = kept?.device ?? uuid();
    const wording = text.hashes[surface];
    const was = decided();
    const made = { device, at: before?.at ?? at, print: site.print, wording: wording ?? surface, decisions: { ...before?.decisions, ...decisions } };
    if (USES_IDENTIFY && person.choice()) person.keep(made);
    else writeChoice((kept = made));
    const body: ConsentPost = {
      id: uuid(Date.now()), subject: USES_IDENTIFY ? person.subject(device) : { device }, surface, method, decisions, wording,
      locale: text.lang, page: pageAddress(), prompt: prompts[surface],
    };
    (USES_IDENTIFY ? person.out(sent) : sent).add(json(body));
    void (USES_IDENTIFY ? person.out(sent) : sent).flush();
    settled(was);
  }

  function settled(was: Decisions): void {
    let less = false;
    each(asked, (id) => was[id] && !allowed(id) && (less = lost[id] = true));
    if (complete()) shown.clear();
    pass();
    act();
    document.dispatchEvent(new CustomEvent('consentd:change', { detail: choice() }));
    if (USES_RELOAD && less) location.reload();
  }

  /** Does what follows from the choice in force, now and on each page. */
  function act(): void {
    if (USES_SIGNALS) signals(allowed, choice() ? 'update' : 'default', choice()?.decisions);
    if (USES_COOKIES && choice()) forget(allowed);
  }

  function ask(): void {
    shown.showBanner({
      accept: () => decide('banner', 'accept_all', all(true)),
      refuse: () => decide('banner', 'reject_all', all(false)),
      choose: open,
    });
    displayed('banner');
  }

  function open(): void {
    shown.showPreferences(decided(), {
      accept: () => decide('preferences', 'accept_all', all(true)),
      refuse,
      save: (decisions) => decide('preferences', 'custom', decisions),
    });
    displayed('preferences');
  }

  function withdraw(): void {
    decide('preferences', 'withdraw', all(false));
  }

  /** Refusing after having agreed is taking it back. */
  function refuse(): void {
    if (every(asked, (id) => !allowed(id))) decide(shown.front() ?? 'preferences', 'reject_all', all(false));
    else withdraw();
  }

  /** Follows a choice made in another tab, or on a later page that "back" has left. */
  function follow(): void {
    const before = kept;
    kept = readChoice();
    if (choice() && kept?.at !== before?.at) settled(before?.decisions ?? {});
  }

  addEventListener('storage', guard((e: StorageEvent) => e.key === storageKey && follow()));
  addEventListener('pageshow', guard((e: PageTransitionEvent) => e.persisted && follow()));
  addEventListener('pagehide', guard(sent.leave));
  addEventListener('online', guard(sent.flush));

  if (USES_MIGRATE && !choice()) {
    const found = migrated();
    if (found) decide('import', 'custom', found.decisions, found.at);
  }
  if (USES_GPC && !choice() && navigator.globalPrivacyControl) decide('signal', 'reject_all', all(false));
  if (complete()) shown.clear();
  else ask();
  act();
  pass();
  void sent.flush();

  return {
    ...(USES_IDENTIFY && {
      identify: guard(async (token: string | null) => {
        const was = decided();
        if (!(await person.become(token, kept?.device))) return;
        settled(was);
        if (!complete()) ask();
      }),
    }),
    choice,
    allowed,
    open,
    refuse,
    withdraw,
    // Nobody agrees to a text that is not on the screen.
    accept: () => {
      const surface = shown.front();
      if (surface) decide(surface, 'accept_all', all(true));
      else open();
    },
    set(some) {
      const surface = shown.front();
      const next = all(false);
      let more = false;
      each(asked, (id) => {
        next[id] = some[id] ?? allowed(id);
        if (next[id] && !allowed(id)) more = true;
      });
      if (more && !surface) open();
      else decide(surface ?? 'preferences', 'custom', next);
    },
  };
}
