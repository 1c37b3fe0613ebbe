import type { Choice, Decisions } from './types';

/** Reads what encodeChoice wrote; undefined for anything else. */
export function decodeChoice(text: string): Choice | undefined {
  const [version, device, time, print, wording, ...rest] = text.split('.');
  const at = parseInt(time ?? '', 36);
  if (version !== '1' || !device || !at || !print || !wording) return undefined;
  const decisions: Decisions = {};
  for (const part of rest) {
    const [id, bit] = part.split(':');
    decisions[id!] = bit === '1';
  }
  return { device, at, print, wording, decisions };
}
