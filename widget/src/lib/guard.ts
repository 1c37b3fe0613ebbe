import { report } from './report';

/** Wraps fn so that whatever goes wrong inside is reported and never thrown into the page. */
export function guard<A extends unknown[]>(fn: (...args: A) => unknown): (...args: A) => void {
  return (...args) => {
    try {
      fn.apply(undefined, args); // to spread is to iterate, which pages have broken
    } catch (err) {
      report(err);
    }
  };
}
