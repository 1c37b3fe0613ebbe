import { report } from './report';

/** Wraps fn so that whatever goes wrong inside is reported and never thrown into the page. */
export function guard<A extends unknown[]>(fn: (...args: A) => unknown): (...args: A) => void {
  return (...args) => {
    try {
      fn(...args);
    } catch (err) {
      report(err);
    }
  };
}
