import { each } from './each';
import { guard } from './guard';
import type { Session } from './session';
import type { Choice } from './types';

type Call = ((api: object) => void) | [name: string, first?: unknown, second?: unknown];

/**
 * Puts the API in window.consentd, the one global of the widget, in place of the queue a page may have begun
 * there before the widget came: `(window.consentd = window.consentd || []).push(api => …)` works before and after.
 * consentd.d.ts says what each member does.
 */
export function expose(session: Session): void {
  const api: Record<string, unknown> & { push(call: Call): void } = {
    on(event: string, fn: (choice: Choice | undefined) => void): () => void {
      const name = 'consentd:' + event;
      const listener = (e: Event) => fn((e as CustomEvent<Choice | undefined>).detail);
      document.addEventListener(name, listener);
      return () => document.removeEventListener(name, listener);
    },
    push: guard((call: Call) => {
      if (typeof call === 'function') call(api);
      else (api as unknown as Record<string, (...args: unknown[]) => void>)[call[0]]?.(call[1], call[2]);
    }),
  };
  for (const name in session) api[name] = guard(session[name as keyof Session] as (...args: unknown[]) => unknown);
  const queue = window.consentd;
  window.consentd = api;
  if (Array.isArray(queue)) each(queue as Call[], api.push);
}
