import { post } from './post';
import { storage } from './storage';
import type { ConsentPost } from './types';
import { uuid } from './uuid';

/** Choices on their way to the edge. */
export interface Outbox {
  add(consent: ConsentPost): void;
  /** Sends what waits, oldest first. */
  flush(): Promise<void>;
}

/**
 * Opens the outbox kept under key. A choice enters it before it is sent and leaves it when the edge has
 * answered for good; so one that met no edge is sent again on the next visit, with the same id, which the
 * edge counts once. One at a time: the edge orders choices by their arrival.
 */
export function outbox(key: string, url: string): Outbox {
  let sending: Promise<void> | undefined;
  const load = (): ConsentPost[] => {
    try {
      return JSON.parse(storage.get(key) || '[]');
    } catch {
      return [];
    }
  };
  const save = (waiting: ConsentPost[]) => storage.set(key, waiting[0] ? JSON.stringify(waiting) : '');

  async function send(): Promise<void> {
    for (let next; (next = load()[0]); ) {
      const answer = await post(url, next);
      if (!answer || answer.status >= 500 || answer.status === 429 || answer.status === 408) return;
      const again = answer.ok ? undefined : await redated(next, answer);
      const { id } = next;
      save(load().flatMap((c) => (c.id !== id ? [c] : again ? [again] : [])));
    }
  }

  return {
    add: (consent) => save([...load(), consent]),
    flush: () => (sending ??= send().finally(() => (sending = undefined))),
  };
}

/** The same choice under an id dated by the edge's clock, if that was all that was wrong with it. */
async function redated(consent: ConsentPost, answer: Response): Promise<ConsentPost | undefined> {
  const { code } = await answer.json().catch(() => ({}));
  const now = Date.parse(answer.headers.get('date') ?? '');
  const id = uuid(now);
  // The first 8 digits count spells of 65 seconds: an id already dated so is refused for another reason.
  if (code === 'id_in_future' && now && id.slice(0, 8) !== consent.id.slice(0, 8)) return { ...consent, id };
  console.warn('consentd: choice refused by the edge:', answer.status, code);
  return undefined;
}
