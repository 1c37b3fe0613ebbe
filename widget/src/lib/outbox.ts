import { each } from './each';
import { post } from './post';
import { storage } from './storage';
import { uuid } from './uuid';

/** Choices on their way to the edge. */
export interface Outbox {
  /** Takes the body of a consent, or several, one a line; of a form, also a wording, which is then sent before the consents behind it. */
  add(body: string): void;
  /** Sends what waits, oldest first. */
  flush(): Promise<void>;
  /** The page goes: what waits and is not being sent leaves as a beacon, and stays. */
  leave(): void;
}

/**
 * Opens the outbox kept under key: one body a line. A choice enters it before it is sent and leaves it when the
 * edge has answered for good; so one that met no edge is sent again on the next visit, with the same id, which
 * the edge counts once. One at a time: the edge orders choices by their arrival. heard is told of each answer;
 * of none, where the body waits on.
 */
export function outbox(key: string, edge: string, heard?: (body: string, answer: Response | undefined) => Promise<void>): Outbox {
  let sending: Promise<void> | undefined;
  const load = () => storage.get(key).split('\n');

  /** Puts instead in the place of a body that waits; '' removes it. */
  function replace(body: string, instead: string): void {
    let left = '';
    each(load(), (line) => {
      const now = line === body ? instead : line;
      if (now) left += (left && '\n') + now;
    });
    storage.set(key, left);
  }

  async function send(): Promise<void> {
    for (let next; (next = load()[0]); ) {
      const answer = await post(edge + (USES_YOURS && next[2] === 'b' ? 'wordings' : 'consents'), next);
      const later = !answer || answer.status >= 500 || answer.status === 429 || answer.status === 408;
      if (USES_FORMS) await heard?.(next, later ? undefined : answer);
      if (later) return;
      replace(next, answer.ok ? '' : await redated(next, answer));
    }
  }

  return {
    add(body) {
      const waiting = storage.get(key);
      storage.set(key, waiting + (waiting && '\n') + body);
    },
    flush: () => (sending ??= send().finally(() => (sending = undefined))),
    leave() {
      if (!sending) each(load(), (body) => body && navigator.sendBeacon(edge + (USES_YOURS && body[2] === 'b' ? 'wordings' : 'consents'), body));
    },
  };
}

/** The same choice under an id dated by the edge's clock, if that was all that was wrong with it; else ''. */
async function redated(body: string, answer: Response): Promise<string> {
  const { code } = await answer.json().catch(() => ({}));
  const now = Date.parse(answer.headers.get('date') ?? '');
  const id = uuid(now);
  const was = body.slice(7, 43); // the id is the first member
  // The first 8 digits count spells of 65 seconds: an id already dated so is refused for another reason.
  if (code === 'id_in_future' && now && id.slice(0, 8) !== was.slice(0, 8)) return body.replace(was, id);
  console.warn('consentd: choice refused:', answer.status, code);
  return '';
}
