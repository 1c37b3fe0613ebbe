import type { Choice } from './types';

/**
 * Writes a choice as cookie and localStorage keep it:
 *
 *     1.<device>.<time, ms, base 36>.<print>.<wording hash>.<purpose>:<0|1>.…
 *
 * Only characters a cookie may carry bare, so that a server-side reader needs no decoding.
 */
export function encodeChoice(c: Choice): string {
  const decisions = Object.keys(c.decisions).map((id) => id + (c.decisions[id] ? ':1' : ':0'));
  return ['1', c.device, c.at.toString(36), c.print, c.wording, ...decisions].join('.');
}
