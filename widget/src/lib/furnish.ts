import { sheet } from './sheet';

/** Gives a shadow root both sheets, and one of its own. */
export function furnish(root: ShadowRoot, own?: CSSStyleSheet): void {
  root.adoptedStyleSheets = own ? [sheet(0), sheet(1), own] : [sheet(0), sheet(1)];
}
