// Pages without storage (private modes, sandboxed frames) get a memory that lasts as long as the page.
const memory: Record<string, string> = {};

/** localStorage that never throws. What is kept of an account (signedIn) is in sessionStorage, and goes with the tab. */
export const storage = {
  get(key: string): string {
    try {
      return (USES_IDENTIFY && /_account/.test(key) ? sessionStorage : localStorage).getItem(key) ?? '';
    } catch {
      return memory[key] ?? '';
    }
  },
  /** An empty value removes the key. */
  set(key: string, value: string): void {
    try {
      if (value) (USES_IDENTIFY && /_account/.test(key) ? sessionStorage : localStorage).setItem(key, value);
      else (USES_IDENTIFY && /_account/.test(key) ? sessionStorage : localStorage).removeItem(key);
    } catch {
      memory[key] = value;
    }
  },
};
