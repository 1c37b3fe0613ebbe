import { each } from './each';
import { every } from './every';
import { guard } from './guard';
import { json } from './json';
import { outbox } from './outbox';
import { pageAddress } from './pageAddress';
import { post } from './post';
import type { Session } from './session';
import { storageKey } from './storageKey';
import type { ConsentPost, Decisions, FormShown, FormStatus, Identifier } from './types';
import { uuid } from './uuid';

// What waits is sent again after so many ms, while the page stands there.
const again = 2e4;

/** What was given on a form. */
export interface FormAnswer {
  readonly who: { [kind in Identifier]?: string };
  readonly decisions: Decisions;
  /** ms since the form came into view. */
  readonly took: number;
  readonly prompt: string | undefined;
  readonly trap?: string;
}

/** Proofs that nobody has recorded yet. */
export interface FormProofs {
  readonly ids: string;
  /** What to wait for, so that all of it is on its way at once: the edge may not know the wording. */
  ready(): Promise<void> | undefined;
  /** Records them, once. */
  send(): void;
}

/** What forms have to do with the edge. */
export interface FormEdge {
  /** Reports that a wording is displayed; gives the id of the display. */
  displayed(shown: FormShown): string;
  /**
   * Makes the proofs of an answer, one for each identifier. heard is told what came of each, and again when that
   * changes; wrong says of a refusal that it is the identifier's.
   */
  prove(shown: FormShown, answer: FormAnswer, heard: (kind: Identifier, status: FormStatus, wrong: boolean) => void): FormProofs;
  /** Sends what waits. */
  flush(): void;
}

/**
 * Opens the forms' side of the edge. Answers have an outbox of their own: an edge that takes no new wording from a
 * form does not keep a choice of the banner waiting. Until the edge has answered, an address waits in this browser.
 */
export function formEdge(edge: string, begun: Session): FormEdge {
  const rest = (body: string) => body.slice(43); // without its id
  const known: { [hash: string]: boolean } = {}; // wordings the edge has
  const told: { [body: string]: (answer: Response | undefined, proof: string) => Promise<void> } = {}; // by body
  const sent = outbox(storageKey + '_forms', edge, async (body, answer) => told[rest(body)]?.(answer, body.slice(7, 43)));
  let sending: Promise<void> | undefined;
  const flush = () => (sending ??= sent.flush().finally(() => (sending = undefined)));

  /** The device, where its visitor has agreed to something: whoever refused everything is not to be recognised, and an account is no device. */
  function device(): string | undefined {
    const choice = begun.get();
    return choice && !every(Object.keys(choice.decisions), (id) => !choice.decisions[id]) ? choice.device || undefined : undefined;
  }

  async function display({ hash, doc }: FormShown, prompt: string): Promise<void> {
    let answer = await post(edge + 'prompts', prompt);
    if (USES_YOURS && doc && answer?.status === 422) {
      // Nearly always somebody else has shown the same words before. Now nobody has.
      const taken = await post(edge + 'wordings', doc);
      if (taken?.ok) answer = await post(edge + 'prompts', prompt);
      else if (taken) console.warn('consentd: wording refused:', taken.status);
    }
    if (answer?.ok) known[hash] = true;
  }

  addEventListener('pagehide', guard(sent.leave));
  addEventListener('online', guard(flush));
  void flush();

  return {
    flush,
    displayed(shown) {
      const prompt = uuid();
      const { form, locale, hash } = shown;
      void display(shown, json({ prompt, surface: 'form:' + form.id, wording: hash, locale, page: pageAddress() }));
      return prompt;
    },
    prove({ form, locale, hash, doc }, { who, decisions, took, prompt, trap }, heard) {
      const fresh = doc && !known[hash] && doc;
      if (USES_YOURS && fresh && !told[rest(fresh)]) {
        told[rest(fresh)] = async (answer) => {
          known[hash] = !!answer?.ok;
          if (answer) delete told[rest(fresh)];
        };
        sent.add(fresh);
      }
      const yes = Object.keys(decisions);
      const method = every(yes, (id) => decisions[id]!) ? 'accept_all' : every(yes, (id) => !decisions[id]) ? 'reject_all' : 'custom';
      let ids = '';
      let lines = '';
      each(Object.keys(who) as Identifier[], (kind) => {
        const id = uuid(Date.now());
        const body: ConsentPost = {
          id, subject: { [kind]: who[kind] }, surface: `form:${form.id}`, method, decisions, wording: hash, locale,
          page: pageAddress(), prompt, device: device(), trap, took,
        };
        const line = json(body);
        told[rest(line)] = async (answer, proof) => {
          const said = (await answer?.clone().json().catch(() => 0)) || {};
          if (said.code === 'id_in_future') return; // it comes again under another id
          if (!answer) setTimeout(flush, again);
          const status = !answer ? 'waiting' : !answer.ok ? 'refused' : said.status === 'pending' ? 'pending' : 'recorded';
          let wrong = false;
          each(said.errors || [], (e: { pointer: string }) => /^.subject/.test(e.pointer) && (wrong = true));
          heard(kind, status, wrong);
          document.dispatchEvent(new CustomEvent('consentd:form', { detail: { form: form.id, proof, decisions, status } }));
        };
        ids += (ids && ' ') + id;
        lines += (lines && '\n') + line;
      });
      return {
        ids,
        ready: () => (USES_YOURS && (sending || (doc && !known[hash])) ? flush() : undefined),
        send() {
          if (lines) sent.add(lines);
          lines = '';
          void flush();
        },
      };
    },
  };
}
