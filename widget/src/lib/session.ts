import site from 'consentd:site';
import { each } from './each';
import { embed } from './embed';
import { every } from './every';
import { forget } from './forget';
import { gate } from './gate';
import { guard } from './guard';
import { jobs } from './jobs';
import { json } from './json';
import { later } from './later';
import { migrated } from './migrated';
import { outbox } from './outbox';
import { pageAddress } from './pageAddress';
import { post } from './post';
import { readChoice } from './readChoice';
import { receipt } from './receipt';
import { signals } from './signals';
import { signedIn, type SignedIn } from './signedIn';
import { stage } from './stage';
import { storageKey } from './storageKey';
import type { Choice, ConsentPost, Decisions, LocaleText, Method, Surface } from './types';
import { uuid } from './uuid';
import { writeChoice } from './writeChoice';

/** One page's dealings with one visitor: what window.consentd offers under the same names (consentd.d.ts). */
export interface Session {
  /** The choice in force. */
  get(): Choice | undefined;
  /** Whether purpose may be acted on now. */
  has(purpose: string): boolean;
  open(): void;
  acceptAll(): void;
  refuseAll(): void;
  withdraw(): void;
  set(some: Decisions): void;
  /** Takes over the choice of the account a token stands for; null: nobody is signed in any more. */
  identify?(token: string | null): void;
  /** Records what a form of the page says, which the page has sent by a program of its own. */
  submitted?(form: EventTarget): void;
}

/** Starts the session: asks unless a choice is in force, lets through what it allows, sends what waits. */
export function session(edge: string, nonce: string, text: LocaleText): Session {
  const all = (value: boolean): Decisions => {
    const decisions: Decisions = {};
    each(site.purposes, (p) => p.asked && (decisions[p.id] = value));
    return decisions;
  };
  const asked = Object.keys(all(false));
  const shown = stage(
    text,
    { accept: () => agree('banner'), refuse: () => decide('banner', 'reject_all', all(false)), choose: open },
    () => displayed('banner'),
    withdraw,
    granted,
  );
  const sent = outbox(storageKey + '_outbox', edge);
  const prompts: { [surface: string]: string } = {}; // ids of this page's displays
  let person!: SignedIn; // where the site has identify
  if (USES_IDENTIFY) person = signedIn(edge);
  let kept = readChoice(USES_DOMAIN);

  const choice = () => (USES_IDENTIFY && person.choice()) || (kept?.print === site.print ? kept : undefined);
  const decided = (): Decisions => choice()?.decisions ?? {};
  const complete = (decisions: Decisions) => every(asked, (id) => decisions[id] !== undefined);
  const agree = (surface: Surface) => decide(surface, 'accept_all', all(true));
  const gated = gate(allowed, nonce, (el, purpose, once) =>
    USES_EMBEDS
      ? embed(
          el, purpose, text,
          (service) => displayed(`embed:${service}`),
          () => { once(); el.focus(); },
          (service) => { decide(`embed:${service}`, 'custom', { [purpose]: true }); el.focus(); },
        )
      : undefined);
  const pass = USES_TARTEAUCITRON ? both(gated, jobs(allowed, nonce)) : gated;

  function allowed(purpose: string): boolean {
    if (USES_MIGRATE && purpose[0] === '!') return decided()[purpose.slice(1)] === false;
    return decided()[purpose] === true || !every(site.purposes, (p) => p.id !== purpose || p.asked);
  }

  /** Reports that a surface is displayed, once a page. */
  function displayed(surface: Surface): void {
    if (prompts[surface]) return;
    const prompt = (prompts[surface] = uuid());
    // After the frame it is displayed with, and no later: who leaves at once was asked all the same.
    setTimeout(() => post(edge + 'prompts', json({ prompt, surface, wording: text.hashes[surface], locale: text.lang, page: pageAddress() })));
  }

  /** Keeps decisions and reports them. A part of them changes nothing about when the rest was decided. */
  function decide(surface: Surface, method: Method, decisions: Decisions, at = Date.now()): void {
    const before = complete(decisions) ? undefined : choice();
    const device = kept?.device ?? uuid();
    const wording = text.hashes[surface];
    const was = decided();
    const made = { device, at: before?.at ?? at, print: site.print, wording: wording ?? surface, decisions: { ...before?.decisions, ...decisions } };
    if (USES_IDENTIFY && person.choice()) person.keep(made);
    else {
      kept = made;
      writeChoice(made);
    }
    const body: ConsentPost = {
      id: uuid(Date.now()), subject: USES_IDENTIFY ? person.subject(device) : { device }, surface, method, decisions, wording,
      locale: text.lang, page: pageAddress(), prompt: prompts[surface],
    };
    (USES_IDENTIFY ? person.out(sent) : sent).add(json(body));
    settled(was);
  }

  function settled(was: Decisions): void {
    let less: boolean | undefined;
    if (USES_RELOAD) each(asked, (id) => was[id] && !allowed(id) && (less = true));
    if (complete(decided())) shown.clear();
    pass();
    tell();
    document.dispatchEvent(new CustomEvent('consentd:change', { detail: choice() }));
    // The press is answered first: what it asks of others comes after.
    later(() => {
      if (USES_COOKIES) forget(allowed);
      void (USES_IDENTIFY ? person.out(sent) : sent).flush();
      if (USES_RELOAD && less) location.reload();
    });
  }

  function tell(): void {
    if (USES_SIGNALS) signals(allowed, choice() ? 'update' : 'default', choice()?.decisions);
  }

  function open(): void {
    shown.showPreferences(decided(), {
      accept: () => agree('preferences'),
      refuse,
      save: (decisions) => decide('preferences', 'custom', decisions),
      // Of the device's own choice: an account's is no business of whoever sits here next.
      ...(USES_RECEIPT && kept && choice() === kept && { receipt: () => receipt(edge, kept!.device, text.receipt!, sent) }),
    });
    displayed('preferences');
  }

  function withdraw(): void {
    decide('preferences', 'withdraw', all(false));
  }

  function granted(): boolean {
    return !every(asked, (id) => !allowed(id));
  }

  /** Refusing after having agreed is taking it back. */
  function refuse(): void {
    if (granted()) withdraw();
    else decide(shown.front() || 'preferences', 'reject_all', all(false));
  }

  /** Follows a choice made in another tab, or on a later page that "back" has left. */
  function follow(cookies: boolean): void {
    const now = readChoice(cookies);
    if (!now || now.at === kept?.at) return;
    const was = kept?.decisions ?? {};
    kept = now;
    if (choice()) settled(was);
  }

  /** Asks, unless that has been answered in some way; looks at cookies first when it is told to. */
  function begin(cookies: boolean): void {
    if (cookies) {
      follow(true);
      if (kept) writeChoice(kept); // where it was missing
    }
    if (USES_MIGRATE && !choice()) {
      const found = migrated();
      if (found) decide('import', 'custom', found.decisions, found.at);
    }
    if (USES_GPC && !choice() && navigator.globalPrivacyControl) decide('signal', 'reject_all', all(false));
    ask();
  }

  function ask(): void {
    if (complete(decided())) shown.clear();
    else shown.showBanner();
  }

  tell();
  pass();
  // Where a choice is at hand, or cookies have to be looked at before anything else. Everywhere else the banner comes
  // first: to look would cost every new visitor with a slow telephone twenty milliseconds.
  const atOnce = USES_DOMAIN || USES_MIGRATE || choice() || (USES_GPC && navigator.globalPrivacyControl);
  if (atOnce) guard(begin)(!choice());
  else queueMicrotask(guard(ask)); // what the page has queued comes first
  later(() => {
    addEventListener('storage', guard((e: StorageEvent) => e.key === storageKey && follow(true)));
    addEventListener('pageshow', guard((e: PageTransitionEvent) => e.persisted && follow(true)));
    addEventListener('pagehide', guard(sent.leave));
    addEventListener('online', guard(sent.flush));
    // Nobody was listening until now; and a choice that only the cookie still has takes the banner down again.
    if (atOnce || choice()) follow(USES_DOMAIN);
    else begin(true);
    if (USES_COOKIES && choice()) forget(allowed); // what a tag has set that was still running
    void sent.flush();
  });

  return {
    ...(USES_IDENTIFY && {
      identify: guard(async (token: string | null) => {
        const was = decided();
        if (!(await person.become(token))) return;
        settled(was);
        if (!complete(decided())) shown.showBanner();
      }),
    }),
    get: choice,
    has: allowed,
    open,
    refuseAll: refuse,
    withdraw,
    // Nobody agrees to a text that is not on the screen.
    acceptAll() {
      const surface = shown.front();
      if (surface) agree(surface);
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
      else decide(surface || 'preferences', 'custom', next);
    },
  };
}

function both(first: () => void, second: () => void): () => void {
  return () => {
    first();
    second();
  };
}
