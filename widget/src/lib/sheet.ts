import css from 'consentd:style';

const sheets: CSSStyleSheet[] = [];

/**
 * One of the two sheets, constructed, as no policy forbids it: what a banner needs (0), and what everything else needs
 * besides (1). Each is read when it is first wanted: a slow telephone takes milliseconds for it.
 */
export function sheet(i: 0 | 1): CSSStyleSheet {
  if (!sheets[i]) {
    sheets[i] = new CSSStyleSheet();
    sheets[i].replaceSync(''); // Chromium 156 reads what follows in a quarter of the time
    sheets[i].replaceSync(css[i]);
  }
  return sheets[i];
}
