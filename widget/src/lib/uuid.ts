/**
 * Makes a UUID (RFC 9562): version 7 when a time in ms is given, random version 4 otherwise.
 * crypto.randomUUID is missing on pages served without TLS; getRandomValues is everywhere.
 */
export function uuid(time?: number): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  if (time !== undefined) {
    // 48 bits of time, big-endian; shifts would cut to 32.
    for (let i = 5, rest = time; i >= 0; i--, rest = Math.floor(rest / 256)) bytes[i] = rest % 256;
  }
  bytes[6] = (bytes[6]! & 15) | (time === undefined ? 64 : 112);
  bytes[8] = (bytes[8]! & 63) | 128;
  let text = '';
  bytes.forEach((b, i) => {
    text += (/^(4|6|8|10)$/.test('' + i) ? '-' : '') + (b + 256).toString(16).slice(1);
  });
  return text;
}
