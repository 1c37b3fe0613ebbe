/** Tells the console what went wrong; nothing of the widget is ever thrown into the page. */
export function report(err: unknown): void {
  console.error('consentd:', err);
}
