import type { Choice, Decisions } from './types';

/** Reads what encodeChoice wrote; undefined for anything else. */
export function decodeChoice(text: string): Choice | undefined {
  const part = text.split('.');
  const at = parseInt(part[2]!, 36);
  if (part[0] !== '1' || !part[1] || !at || !part[3] || !part[4]) return undefined;
  const decisions: Decisions = {};
  for (let i = 5; i < part.length; i++) {
    const pair = part[i]!.split(':');
    decisions[pair[0]!] = pair[1] === '1';
  }
  return { device: part[1], at, print: part[3], wording: part[4], decisions };
}
