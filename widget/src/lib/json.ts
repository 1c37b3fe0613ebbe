import { each } from './each';

const named: Record<string, string> = { '"': '\\"', '\\': '\\\\', '\b': '\\b', '\f': '\\f', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/**
 * Writes JSON (RFC 8259) of objects, strings, numbers and booleans, on pages that replace the global JSON too. Names of
 * members are the wire's and the ids of purposes, which need no escaping.
 *
 * Where a page draws forms of its own it is the canonical form (RFC 8785), with arrays, of what they say: the members
 * of an object have to stand in the order of their names already. Half a character is no text, and becomes U+FFFD.
 */
export function json(value: unknown): string {
  if (typeof value === 'string') {
    if (USES_YOURS) value = value.replace(/\p{Cs}/gu, '\ufffd');
    return '"' + (value as string).replace(/["\\\x00-\x1f]/g, (c) => (USES_YOURS && named[c]) || '\\u' + (c.charCodeAt(0) + 65536).toString(16).slice(1)) + '"';
  }
  if (typeof value !== 'object') return '' + value;
  let text = '';
  each(Object.keys(value as object), (name) => {
    const member = (value as Record<string, unknown>)[name];
    if (member !== undefined) text += USES_YOURS && Array.isArray(value) ? (text && ',') + json(member) : `${text && ','}"${name}":${json(member)}`;
  });
  return USES_YOURS && Array.isArray(value) ? `[${text}]` : '{' + text + '}';
}
