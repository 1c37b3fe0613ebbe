import { each } from './each';

const named: Record<string, string> = { '"': '\\"', '\\': '\\\\', '\b': '\\b', '\f': '\\f', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/**
 * Writes canonical JSON (RFC 8785), on pages that replace the global JSON too. The members of an object have to
 * stand in the order of their names already; one that is undefined is left out. Half a character is no text, and
 * becomes U+FFFD.
 */
export function formCanonical(value: unknown): string {
  if (typeof value === 'string') {
    const text = value.replace(/["\\\x00-\x1f]/g, (c) => named[c] ?? '\\u' + (c.charCodeAt(0) + 65536).toString(16).slice(1));
    return '"' + text.replace(/\p{Cs}/gu, '\ufffd') + '"';
  }
  if (typeof value !== 'object') return '' + value;
  const list = Array.isArray(value);
  let text = '';
  each(Object.keys(value!), (name) => {
    const member = (value as Record<string, unknown>)[name];
    if (member !== undefined) text += (text && ',') + (list ? '' : formCanonical(name) + ':') + formCanonical(member);
  });
  return list ? `[${text}]` : `{${text}}`;
}
