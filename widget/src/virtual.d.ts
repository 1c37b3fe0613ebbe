// What the Go side writes for each site (widget/source.go, widget/features.go). The shapes are held there by the
// types siteData and Theme; this file is the same contract seen from TypeScript.

declare module 'consentd:site' {
  const site: import('./lib/types').SiteData;
  export default site;
}

declare module 'consentd:style' {
  /** The style sheets, minified: of a banner, with the site's theme, and of everything else. */
  const css: [banner: string, more: string];
  export default css;
}

// Whether the site uses a feature: what stands behind a false one is not in its script.
declare const USES_MODAL: boolean;
declare const USES_CONTINUE: boolean;
declare const USES_LOGO: boolean;
declare const USES_REOPEN: boolean;
declare const USES_DOMAIN: boolean;
declare const USES_GPC: boolean;
declare const USES_RELOAD: boolean;
declare const USES_SIGNALS: boolean;
declare const USES_GOOGLE: boolean;
declare const USES_UET: boolean;
declare const USES_CLARITY: boolean;
declare const USES_MATOMO: boolean;
declare const USES_LAYER: boolean;
declare const USES_BASES: boolean;
declare const USES_QUERY: boolean;
declare const USES_RTL: boolean;
declare const USES_BANNER: boolean;
declare const USES_IDENTIFY: boolean;
declare const USES_RECEIPT: boolean;
declare const USES_FORMS: boolean;
declare const USES_OURS: boolean;
declare const USES_YOURS: boolean;
declare const USES_SERVICES: boolean;
declare const USES_COOKIES: boolean;
declare const USES_EMBEDS: boolean;
declare const USES_MIGRATE: boolean;
declare const USES_COOKIECONSENT: boolean;
declare const USES_TARTEAUCITRON: boolean;
declare const USES_PLAYERS: boolean;
declare const USES_JOB_GTAG: boolean;
declare const USES_JOB_GTM: boolean;
declare const USES_JOB_MATOMO: boolean;
declare const USES_JOB_FACEBOOK: boolean;
declare const USES_C15T: boolean;
declare const USES_OSANO: boolean;
declare const USES_FIDES: boolean;
declare const USES_CONSENTLOOP: boolean;

// Not yet in TypeScript's DOM library, or defined by the tools that are told of choices.
interface Window {
  readonly trustedTypes?: {
    createPolicy(name: string, rules: Record<string, (s: string) => string>): {
      createScript(s: string): string;
      createScriptURL(s: string): string;
    };
  };
  consentd?: unknown;
  dataLayer?: unknown[];
  uetq?: unknown[];
  _paq?: unknown[];
  gtag?: (...args: unknown[]) => void;
  fbq?: ((...args: unknown[]) => void) & { queue?: unknown[]; push?: unknown; loaded?: boolean; version?: string; callMethod?: (...args: unknown[]) => void };
  tarteaucitron?: Partial<import('./lib/types').Tarteaucitron>;
  clarity?: ((...args: unknown[]) => void) & { q?: unknown[] };
}
interface Navigator {
  readonly globalPrivacyControl?: boolean;
}
interface Document {
  readonly prerendering?: boolean;
}
