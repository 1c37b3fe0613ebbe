import type { Session } from './session';

/** The session of a site without a banner: nobody is asked there, and nothing waits for an answer. */
export function formNobody(): Session {
  const nothing = () => {};
  return { get: () => undefined, has: () => false, open: nothing, acceptAll: nothing, refuseAll: nothing, withdraw: nothing, set: nothing };
}
