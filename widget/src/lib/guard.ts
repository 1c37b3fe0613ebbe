import { report } from './report';

/** Wraps fn so that whatever goes wrong inside is reported and never thrown into the page. */
export function guard<A extends unknown[], R>(fn: (...args: A) => R): (...args: A) => R | undefined {
  return (...args) => {
    try {
      return fn.apply(undefined, args); // to spread is to iterate, which pages have broken
    } catch (err) {
      report(err);
      return undefined;
    }
  };
}
