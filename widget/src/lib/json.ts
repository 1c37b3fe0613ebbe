import { each } from './each';

/**
 * Writes JSON (RFC 8259) of objects, strings, numbers and booleans, on pages that replace the global JSON too. Names of
 * members are the wire's and the ids of purposes, which need no escaping.
 */
export function json(value: unknown): string {
  if (typeof value === 'string') {
    return '"' + value.replace(/["\\\x00-\x1f]/g, (c) => '\\u' + (c.charCodeAt(0) + 65536).toString(16).slice(1)) + '"';
  }
  if (typeof value !== 'object') return '' + value;
  let text = '';
  each(Object.keys(value as object), (name) => {
    const member = (value as Record<string, unknown>)[name];
    if (member !== undefined) text += `${text && ','}"${name}":${json(member)}`;
  });
  return '{' + text + '}';
}
