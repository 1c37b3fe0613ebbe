/**
 * Makes a UUID (RFC 9562): version 7 when a time in ms is given, random version 4 otherwise.
 * crypto.randomUUID is missing on pages served without TLS; getRandomValues is everywhere.
 */
export function uuid(time?: number): string {
  let hex = '';
  crypto.getRandomValues(new Uint8Array(16)).forEach((b) => (hex += (b + 256).toString(16).slice(1)));
  if (time) hex = (time + 2 ** 52).toString(16).slice(2) + hex.slice(12); // 48 bits of time in front
  const part = (from: number, to?: number) => hex.slice(from, to);
  return `${part(0, 8)}-${part(8, 12)}-${time ? 7 : 4}${part(13, 16)}-8${part(17, 20)}-${part(20)}`;
}
