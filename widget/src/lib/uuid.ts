/**
 * Makes a UUID (RFC 9562): version 7 when a time in ms is given, random version 4 otherwise.
 * crypto.randomUUID is missing on pages served without TLS; getRandomValues is everywhere.
 */
export function uuid(time?: number): string {
  let hex = '';
  crypto.getRandomValues(new Uint8Array(16)).forEach((b) => (hex += (b + 256).toString(16).slice(1)));
  if (time) hex = (time + 2 ** 52).toString(16).slice(2) + hex.slice(12); // 48 bits of time in front
  const parts = /(.{8})(.{4}).(...).(...)(.*)/;
  return hex.replace(parts, `$1-$2-${time ? 7 : 4}$3-${'89ab'[parseInt(hex[16]!, 16) & 3]}$4-$5`);
}
