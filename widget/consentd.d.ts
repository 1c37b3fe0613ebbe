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
  /** Random id of this browser, made with its first choice. */
  readonly device: string;
  /** When the choice was made, in ms since 1970. It holds for the time the site has set, from then on. */
  readonly at: number;
  /** SHA-256 of the wording that was on the screen; "signal" or "import" when none was. */
  readonly wording: string;
  /** May lack purposes when only one was decided, at a placeholder. */
  readonly decisions: Readonly<Decisions>;
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
  /**
   * Keeps the site's own id of a signed-in visitor, in `external`, for this page. It is not sent anywhere yet:
   * linking a device with a person needs the site's server to vouch for it.
   */
  identify(externalId: string): void;
  /** What identify was told. */
  readonly external?: string;
  /** Runs fn, or the method named. */
  push(call: ((api: Consentd) => void) | [method: keyof Consentd, ...args: unknown[]]): void;
}

declare global {
  interface Window {
    consentd: Consentd;
  }
  interface DocumentEventMap {
    'consentd:change': CustomEvent<Choice>;
  }
}
