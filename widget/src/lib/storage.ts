// Pages without storage (private modes, sandboxed frames) get a memory that lasts as long as the page.
const memory = new Map<string, string>();

/** localStorage that never throws. */
export const storage = {
  get(key: string): string {
    try {
      return localStorage.getItem(key) ?? '';
    } catch {
      return memory.get(key) ?? '';
    }
  },
  /** An empty value removes the key. */
  set(key: string, value: string): void {
    try {
      if (value) localStorage.setItem(key, value);
      else localStorage.removeItem(key);
    } catch {
      memory.set(key, value);
    }
  },
};
