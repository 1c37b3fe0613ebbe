// The nouns of the widget. Types only: nothing of this file reaches the bundle.

/** Where a choice is made (DESIGN §2), as far as a script makes them. */
export type Surface = 'banner' | 'preferences' | `embed:${string}` | 'signal' | 'import';

/** How a choice was expressed. */
export type Method = 'accept_all' | 'reject_all' | 'custom' | 'withdraw';

/** Purpose id → consented. Holds purposes a person decides on. */
export type Decisions = Record<string, boolean>;

/** A third party, as the preferences name it. What is missing is not shown. */
export interface Service {
  /** Of one that puts content into pages. */
  readonly id?: string;
  readonly name: string;
  readonly provider?: string;
  readonly policy?: string;
  /** Names of cookies and storage keys; * stands for any characters. */
  readonly cookies?: readonly string[];
}

/** A purpose, apart from its words. */
export interface Purpose {
  readonly id: string;
  /** A person decides on it: consent, or an objection that is offered. */
  readonly asked: boolean;
  /** Position of its switch before any action. */
  readonly on?: boolean;
  readonly services: readonly Service[];
}

/** Everything the widget says in one locale. */
export interface LocaleText {
  readonly lang: string;
  readonly rtl?: boolean;
  /** Surface → hash of the wording document its words come from. */
  readonly hashes: { readonly [surface: string]: string };
  readonly banner: readonly [title: string, text: string];
  readonly preferences: readonly [title: string, text: string];
  /** Title and text, in the order of SiteData.purposes. */
  readonly purposes: readonly (readonly [title: string, text: string])[];
  readonly policy: readonly [text: string, href: string];
  readonly accept: string;
  readonly refuse: string;
  readonly choose: string;
  readonly save: string;
  readonly back: string;
  readonly necessary: string;
  readonly continue: string;
  readonly reopen?: string;
  /** Legal bases in words, in the order of SiteData.purposes. */
  readonly bases?: readonly string[];
  /** In the order of purposes, services and cookies. */
  readonly lifetimes?: readonly string[];
  readonly once?: string;
  readonly always?: string;
  /** Text of placeholders, by id of their service. */
  readonly embeds?: Readonly<Record<string, string>>;
}

/** Another tool, whose markup and choices are understood. */
export interface Source {
  readonly kind: string;
  /** The attribute that names its services; '' for none. */
  readonly attribute: string;
  readonly cookie: string;
  /** Its names → purposes. */
  readonly names: Readonly<Record<string, string>>;
}

/** What the Go side inlines. */
export interface SiteData {
  readonly id: string;
  /** Changes when purposes, services or the revision change, and not for a typo: then people are asked again. */
  readonly print: string;
  /** Seconds a choice is kept. */
  readonly keep: number;
  /** The site keeps query strings of page addresses. */
  readonly query: boolean;
  readonly controller: readonly [name: string, contact: string];
  readonly purposes: readonly Purpose[];
  /** The first is the fallback. */
  readonly locales: readonly LocaleText[];
  /** Shares the choice with every host below. */
  readonly domain: string;
  readonly logo: string;
  /** Signal of Google Consent Mode → purpose, '' for none. */
  readonly google?: Readonly<Record<string, string>>;
  readonly uet?: string;
  readonly clarity?: readonly [ads: string, analytics: string];
  readonly matomo?: readonly [tracking: string, cookies: string];
  readonly from?: readonly Source[];
}

/** A choice as the browser keeps it. */
export interface Choice {
  /** Random UUID that stands for this browser; made with the first choice, never before. */
  readonly device: string;
  /** When the choice was made, ms since 1970, by the browser's clock. */
  readonly at: number;
  /** SiteData.print at that moment. */
  readonly print: string;
  /** Hash of the wording that was on the screen; signal or import where none was. */
  readonly wording: string;
  readonly decisions: Decisions;
}

/** The body of POST …/consents (DESIGN §8). */
export interface ConsentPost {
  /** Comes first: the outbox finds it by its place. */
  readonly id: string;
  readonly subject: { readonly device: string };
  readonly surface: Surface;
  readonly method: Method;
  readonly decisions: Decisions;
  readonly wording: string | undefined;
  readonly locale: string;
  readonly page: string;
  readonly prompt: string | undefined;
}
