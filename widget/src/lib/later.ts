import { guard } from './guard';

/** Runs fn once the browser has nothing better to do, a second from now at the latest: nothing anyone sees waits for it. */
export function later(fn: () => void): void {
  const wait: (run: () => void, options: object) => void = window.requestIdleCallback || setTimeout; // Safari has no idle
  wait(guard(fn), { timeout: 1e3 });
}
