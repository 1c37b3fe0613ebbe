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
  /** What stands around a receipt: of no wording. */
  readonly receipt?: readonly [button: string, waiting: string, failed: string];
  /** Legal bases in words, in the order of SiteData.purposes. */
  readonly bases?: readonly string[];
  /** In the order of purposes, services and cookies. */
  readonly lifetimes?: readonly string[];
  readonly once?: string;
  readonly always?: string;
  /** Text of placeholders, by id of their service. */
  readonly embeds?: Readonly<Record<string, string>>;
  /** In the order of SiteData.forms; of a form the page draws, empty. */
  readonly forms?: readonly FormText[];
  readonly words?: FormWords;
}

/** An identifier a person gives on a form. */
export type Identifier = 'email' | 'phone';

/** A form, apart from its words. */
export interface FormSite {
  readonly id: string;
  /** The page draws it. */
  readonly yours: boolean;
  /** A yes has to be confirmed by answering a mail. */
  readonly optin?: boolean;
  readonly fields: readonly { readonly kind: Identifier; readonly required: boolean }[];
  /** Of a form of ours: asked, on and services. Of the page's own: basis and objection. */
  readonly purposes: readonly {
    readonly id: string;
    readonly asked?: boolean;
    readonly on?: boolean;
    readonly services?: readonly Service[];
    readonly basis?: string;
    readonly objection?: boolean;
  }[];
}

/** What a form of ours says. */
export interface FormText {
  readonly wording: string;
  readonly title: string;
  readonly text: string;
  readonly label: string;
  readonly policy: readonly [text: string, href: string];
  readonly fields: readonly (readonly [label: string, hint: string])[];
  readonly purposes: readonly (readonly [title: string, text: string])[];
  readonly thanks: string;
  readonly redirect?: string;
}

/** What forms of ours say besides; what none of a site's can come to say is missing. */
export interface FormWords {
  readonly optional?: string;
  readonly error_missing?: string;
  readonly error_email?: string;
  readonly error_phone?: string;
  readonly error_one_field?: string;
  readonly error_none: string;
  readonly sending: string;
  readonly refused: string;
  readonly error_title: string;
  readonly waiting: string;
  readonly retry: string;
  readonly thanks_title: string;
  readonly thanks?: string;
  readonly mailbox_title?: string;
  readonly change_address?: string;
}

/** What came of a proof: pending until a mail is answered, waiting for the edge, refused by it. */
export type FormStatus = 'recorded' | 'pending' | 'waiting' | 'refused';

/** A wording on the screen: its hash, and the document where the edge may not know it. */
export interface FormShown {
  readonly form: FormSite;
  readonly locale: string;
  readonly hash: string;
  readonly doc?: string;
}

/** A form the page has. */
export interface FormHandler {
  /** It came into view. */
  seen(): void;
  /** It may be about to be submitted by the page. */
  submit?(e: SubmitEvent): void;
  /** It is: the browser, or the page's own program, takes what stands in it. */
  taken?(): void;
  /** The page says that it is. */
  submitted?(): void;
}

/** What pages written for tarteaucitron find in its place: they begin it themselves (consentd snippet). */
export interface Tarteaucitron {
  /** Ids of the site at each tool, under tarteaucitron's names. */
  user: Record<string, any>;
  services: Record<string, { js?(): void; fallback?(): void }>;
  job: { push(name: string): unknown } & Partial<ArrayLike<string>>;
  addScript(url: string, id?: string, done?: () => void): void;
}

/** Another tool, whose markup and choices are understood. */
export interface Source {
  readonly kind: string;
  /** The attribute that names its services; '' for none. */
  readonly attribute: string;
  /** Where it keeps choices; '' where another entry says that. */
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
  readonly forms?: readonly FormSite[];
  readonly revision?: number;
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
  readonly subject: { readonly device?: string; readonly email?: string; readonly phone?: string; readonly person?: string };
  readonly surface: Surface | `form:${string}`;
  readonly method: Method;
  readonly decisions: Decisions;
  readonly wording: string | undefined;
  readonly locale: string;
  readonly page: string;
  readonly prompt: string | undefined;
  /** Of a form: the device it was sent from, where its visitor allows that. */
  readonly device?: string | undefined;
  /** Of a form: what a field held that nobody sees. */
  readonly trap?: string | undefined;
  /** Of a form: ms from when it came into view. */
  readonly took?: number;
}
