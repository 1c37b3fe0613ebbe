import site from 'consentd:site';
import { gate } from './gate';
import { guard } from './guard';
import { outbox } from './outbox';
import { post } from './post';
import { readChoice } from './readChoice';
import { stage } from './stage';
import { storageKey } from './storageKey';
import type { Choice, Decisions, LocaleText, Method, Surface } from './types';
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
}

/** Starts the session: asks unless a choice is in force, lets through what it allows, sends what waits. */
export function session(edge: string, nonce: string, text: LocaleText): Session {
  const asked = site.purposes.filter((p) => p.asked).map((p) => p.id);
  const shown = stage(text);
  const sent = outbox(storageKey + '_outbox', edge + 'consents');
  const prompts: { [s in Surface]?: string } = {}; // ids of this page's displays
  let kept = readChoice();

  const choice = () => (kept?.print === site.print ? kept : undefined);
  const all = (value: boolean): Decisions => Object.fromEntries(asked.map((id) => [id, value]));
  const page = () => location.origin + location.pathname + (site.query ? location.search : '');
  const tell = (event: string) => document.dispatchEvent(new CustomEvent('consentd:' + event, { detail: choice() }));
  const pass = gate(allowed, nonce);

  function allowed(purpose: string): boolean {
    return choice()?.decisions[purpose] === true || site.purposes.some((p) => p.id === purpose && !p.asked);
  }

  /** Reports that a surface is displayed, once a page. */
  function displayed(surface: Surface): void {
    if (prompts[surface]) return;
    const prompt = (prompts[surface] = uuid());
    void post(edge + 'prompts', { prompt, surface, wording: text[surface].hash, locale: text.lang, page: page() });
  }

  function decide(surface: Surface, method: Method, decisions: Decisions): void {
    const at = Date.now();
    const device = kept?.device ?? uuid();
    const wording = text[surface].hash;
    kept = { device, at, print: site.print, wording, decisions };
    writeChoice(kept);
    sent.add({
      id: uuid(at), subject: { device }, surface, method, decisions, wording,
      locale: text.lang, page: page(), prompt: prompts[surface],
    });
    void sent.flush();
    settled();
  }

  function settled(): void {
    shown.clear();
    pass();
    tell('change');
  }

  function ask(): void {
    const surface = 'banner';
    shown.showBanner({
      accept: () => decide(surface, 'accept_all', all(true)),
      refuse: () => decide(surface, 'reject_all', all(false)),
      choose: open,
    });
    displayed(surface);
  }

  function open(): void {
    const surface = 'preferences';
    shown.showPreferences(choice()?.decisions, {
      accept: () => decide(surface, 'accept_all', all(true)),
      refuse,
      save: (decisions) => decide(surface, 'custom', decisions),
    });
    displayed(surface);
  }

  function withdraw(): void {
    decide('preferences', 'withdraw', all(false));
  }

  /** Refusing after having agreed is taking it back. */
  function refuse(): void {
    if (asked.some(allowed)) withdraw();
    else decide(shown.front() ?? 'preferences', 'reject_all', all(false));
  }

  /** Follows a choice made in another tab, or on a later page that "back" has left. */
  function follow(): void {
    const before = kept?.at;
    kept = readChoice();
    if (choice() && kept?.at !== before) settled();
  }

  addEventListener('storage', guard((e: StorageEvent) => e.key === storageKey && follow()));
  addEventListener('pageshow', guard((e: PageTransitionEvent) => e.persisted && follow()));
  addEventListener('online', guard(sent.flush));

  pass();
  if (!choice()) ask();
  void sent.flush();

  return {
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
  };
}
