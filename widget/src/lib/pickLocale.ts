/**
 * Picks one of the offered locales: for each wanted language in turn an exact match, then one of the same
 * primary language; the first offered otherwise. Gives the index.
 */
export function pickLocale(wanted: readonly string[], offered: readonly string[]): number {
  const primary = (tag: string) => tag.toLowerCase().split(/[-_]/)[0];
  for (const tag of wanted) {
    let i = offered.findIndex((o) => o.toLowerCase() === tag.toLowerCase());
    if (i < 0) i = offered.findIndex((o) => primary(o) === primary(tag));
    if (i >= 0) return i;
  }
  return 0;
}
