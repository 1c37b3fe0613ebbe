/**
 * The SHA-256 (FIPS 180-4) of a text in UTF-8, in lower hex.
 *
 * Why not WebCrypto: it answers later, and a page that is being left has no later; and it is missing on pages
 * without TLS. A wording has a few kilobytes, which take less than a millisecond here.
 */
export function formHash(text: string): string {
  const bytes = new TextEncoder().encode(text);
  const size = ((bytes.length + 72) >> 6) << 6; // with the mark and the length, in whole blocks
  const data = new DataView(new ArrayBuffer(size));
  bytes.forEach((b, i) => data.setUint8(i, b));
  data.setUint8(bytes.length, 128);
  data.setUint32(size - 4, bytes.length * 8);

  // The constants are the first bits of the fractions of square and cube roots of the first primes.
  const sum = new Int32Array(8);
  const add = new Int32Array(64);
  for (let n = 2, found = 0; found < 64; n++) {
    let prime = true;
    for (let d = 2; d * d <= n; d++) if (n % d === 0) prime = false;
    if (!prime) continue;
    if (found < 8) sum[found] = (n ** 0.5 % 1) * 2 ** 32;
    add[found++] = (n ** (1 / 3) % 1) * 2 ** 32;
  }

  const turn = (x: number, by: number) => (x >>> by) | (x << (32 - by));
  const w = new Int32Array(64);
  for (let at = 0; at < size; at += 64) {
    const s = sum.slice();
    for (let i = 0; i < 64; i++) {
      const x = w[i - 15]!;
      const y = w[i - 2]!;
      w[i] =
        i < 16
          ? data.getInt32(at + i * 4)
          : w[i - 16]! + (turn(x, 7) ^ turn(x, 18) ^ (x >>> 3)) + w[i - 7]! + (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10));
      const a = s[0]!;
      const e = s[4]!;
      const one = s[7]! + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & s[5]!) ^ (~e & s[6]!)) + add[i]! + w[i]!;
      const two = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & s[1]!) ^ (a & s[2]!) ^ (s[1]! & s[2]!));
      s.copyWithin(1, 0);
      s[4]! += one;
      s[0] = one + two;
    }
    sum.forEach((v, i) => (sum[i] = v + s[i]!));
  }
  let hex = '';
  sum.forEach((v) => (hex += ((v >>> 0) + 2 ** 32).toString(16).slice(1)));
  return hex;
}
