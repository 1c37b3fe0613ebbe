// The API of consentd in a page: window.consentd.
//
// It can be used before the script has come. Begin with a queue, and push what shall be done:
//
//     (window.consentd = window.consentd || []).push(api => api.on('change', choice => …));
//
// `push` works the same afterwards.

export {};

/** Purpose id → whether it was agreed to. */
export type Decisions = Record<string, boolean>;

/** The choice in force in this browser. */
export interface Choice {
  /** Random id of this browser, made with its first choice; empty while the choice is that of an account. */
  readonly device: string;
  /** When the choice was made, in ms since 1970. It holds for the time the site has set, from then on. */
  readonly at: number;
  /** SHA-256 of the wording that was on the screen; "signal", "import" or "account" when none was. */
  readonly wording: string;
  /** May lack purposes when only one was decided, at a placeholder. */
  readonly decisions: Readonly<Decisions>;
}

/** What came of one proof of a form. A form that asks for two identifiers makes two proofs. */
export interface FormOutcome {
  /** Id of the form: data-consentd-form. */
  readonly form: string;
  /** Id of the proof, as in the hidden field consentd_proof of a page's own form. */
  readonly proof: string;
  readonly decisions: Readonly<Decisions>;
  /**
   * recorded; pending until the person answers a mail; waiting in this browser, for the server did not answer;
   * refused by the server: nothing was recorded.
   */
  readonly status: 'recorded' | 'pending' | 'waiting' | 'refused';
}

export interface Consentd {
  /** The choice in force; undefined before there is one. */
  get(): Choice | undefined;
  /** Whether a purpose may be acted on now. False for a purpose the site does not have. */
  has(purpose: string): boolean;
  /**
   * Decides purposes; those not named stay as they are. Taking back applies at once. Agreeing counts only while
   * banner or preferences are on the screen: otherwise the preferences open, and the visitor decides there.
   */
  set(decisions: Decisions): void;
  /** Agrees to everything on the screen; opens the preferences when nothing is. */
  acceptAll(): void;
  /** Refuses every purpose; after an agreement this is a withdrawal. */
  refuseAll(): void;
  /** Takes every agreement back. Also: an element with data-consentd="withdraw". */
  withdraw(): void;
  /** Opens the preferences. Also: an element with data-consentd="open". */
  open(): void;
  /** Calls fn with the choice at each change, in this tab or another. Gives a function that stops it. */
  on(event: 'change', fn: (choice: Choice) => void): () => void;
  /** Calls fn with what came of each proof of a form, and again when that changes. Gives a function that stops it. */
  on(event: 'form', fn: (outcome: FormOutcome) => void): () => void;
  /**
   * Says that a person is signed in, by the token the site's server had from consentd (POST …/links); null: nobody
   * is any more. While somebody is, the account's own choice applies, in this tab, and choices made are the
   * account's, on every device; what this device has chosen while nobody was signed in is left as it is, and
   * applies again afterwards. An account that has not chosen is asked: say on the page that the answer goes for
   * all its devices. To be called on every page, also with null. Only where the site's configuration says
   * `identify: true`.
   */
  identify?(token: string | null): void;
  /**
   * Says that the page has sent one of its own forms (`<form data-consentd-form>`) by a program that reads it field by
   * field; what it said when its button was pressed is recorded then. Not needed where the browser submits the form,
   * or the program makes a FormData of it: that is noticed. A form whose program makes a FormData before it knows
   * whether it will send it has the attribute data-consentd-wait, and is recorded by this call alone. Only where the
   * site has such a form.
   */
  submitted?(form: HTMLFormElement): void;
  /** Runs fn, or the method named. */
  push(call: ((api: Consentd) => void) | [method: keyof Consentd, ...args: unknown[]]): void;
}

declare global {
  interface Window {
    consentd: Consentd;
  }
  interface DocumentEventMap {
    'consentd:change': CustomEvent<Choice>;
    'consentd:form': CustomEvent<FormOutcome>;
  }
}
