import { each } from './each';
import type { Choice } from './types';

/**
 * Writes a choice as cookie and localStorage keep it:
 *
 *     1.<device>.<time, ms, base 36>.<print>.<wording hash, or where it came from>.<purpose>:<0|1>.…
 *
 * Only characters a cookie may carry bare, so that a server-side reader needs no decoding.
 */
export function encodeChoice(c: Choice): string {
  let text = `1.${c.device}.${c.at.toString(36)}.${c.print}.${c.wording}`;
  each(Object.keys(c.decisions), (id) => (text += `.${id}:${+!!c.decisions[id]}`));
  return text;
}
