// The nouns of the widget. Types only: nothing of this file reaches the bundle.

/** Where a choice is made (DESIGN §2); the widget knows two surfaces. */
export type Surface = 'banner' | 'preferences';

/** How a choice was expressed. */
export type Method = 'accept_all' | 'reject_all' | 'custom' | 'withdraw';

/** Purpose id → consented. Holds exactly the purposes a person decides on. */
export type Decisions = Record<string, boolean>;

/** A third party, as the preferences name it. Empty strings are not shown. */
export type Service = readonly [name: string, provider: string, policy: string];

/** A purpose, apart from its words. */
export interface Purpose {
  readonly id: string;
  /** A person decides on it: consent, or an objection that is offered. */
  readonly asked: boolean;
  /** Position of its switch before any action. */
  readonly on: boolean;
  readonly services: readonly Service[];
}

/** A surface's own words. */
export interface SurfaceText {
  /** Hash of the wording document these words come from. */
  readonly hash: string;
  readonly title: string;
  readonly text: string;
}

/** Everything the widget says in one locale. */
export interface LocaleText {
  readonly lang: string;
  readonly banner: SurfaceText;
  readonly preferences: SurfaceText;
  /** Title and text, in the order of SiteData.purposes. */
  readonly purposes: readonly (readonly [title: string, text: string])[];
  readonly policy: readonly [text: string, href: string];
  readonly accept: string;
  readonly refuse: string;
  readonly choose: string;
  readonly save: string;
  readonly back: string;
  readonly necessary: string;
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
}

/** A choice as the browser keeps it. */
export interface Choice {
  /** Random UUID that stands for this browser; made with the first choice, never before. */
  readonly device: string;
  /** When the choice was made, ms since 1970, by the browser's clock. */
  readonly at: number;
  /** SiteData.print at that moment. */
  readonly print: string;
  /** Hash of the wording that was on the screen. */
  readonly wording: string;
  readonly decisions: Decisions;
}

/** The body of POST …/consents (DESIGN §8). */
export interface ConsentPost {
  id: string;
  readonly subject: { readonly device: string };
  readonly surface: Surface;
  readonly method: Method;
  readonly decisions: Decisions;
  readonly wording: string;
  readonly locale: string;
  readonly page: string;
  readonly prompt: string | undefined;
}
