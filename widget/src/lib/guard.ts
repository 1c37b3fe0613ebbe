/** Wraps fn so that whatever goes wrong inside is told on the console and never thrown into the page. */
export function guard<A extends unknown[]>(fn: (...args: A) => unknown): (...args: A) => void {
  return (...args) => {
    try {
      fn(...args);
    } catch (err) {
      console.error('consentd:', err);
    }
  };
}
