import { guard } from './guard';
import type { Session } from './session';

type Call = ((api: object) => void) | [name: string, ...args: unknown[]];

/**
 * Puts the API in window.consentd, the one global of the widget, in place of the queue a page may have begun
 * there before the widget came: `(window.consentd = window.consentd || []).push(api => …)` works before and after.
 */
export function expose(session: Session): void {
  const api = {
    /** The choice in force, or undefined: {decisions, at, device, wording}. */
    get: session.choice,
    /** Whether a purpose may be acted on. */
    has: session.allowed,
    /** Opens the preferences. */
    open: guard(session.open),
    /** Agrees to everything on the screen; opens the preferences when nothing is. */
    acceptAll: guard(session.accept),
    refuseAll: guard(session.refuse),
    withdraw: guard(session.withdraw),
    /** Calls fn with the choice at each event ("change"); gives a function that stops it. */
    on(event: string, fn: (choice: unknown) => void): () => void {
      const name = 'consentd:' + event;
      const listener = (e: Event) => fn((e as CustomEvent).detail);
      document.addEventListener(name, listener);
      return () => document.removeEventListener(name, listener);
    },
    /** Runs fn(api), or the method named: ["open"], ["on", "change", fn]. */
    push: guard((call: Call) => {
      if (typeof call === 'function') call(api);
      else (api as unknown as Record<string, (...args: unknown[]) => void>)[call[0]]?.(...call.slice(1));
    }),
  };
  const queue = window.consentd;
  window.consentd = api;
  if (Array.isArray(queue)) queue.forEach((call) => api.push(call));
}
