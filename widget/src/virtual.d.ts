// The two modules the Go side writes for each site (widget/source.go). Their shape is held there by the
// types siteData and Theme; this file is the same contract seen from TypeScript.

declare module 'consentd:site' {
  const site: import('./lib/types').SiteData;
  export default site;
}

declare module 'consentd:style' {
  /** The style sheet, minified, with the site's theme. */
  const css: string;
  export default css;
}

// Trusted Types are not yet in TypeScript's DOM library.
interface Window {
  readonly trustedTypes?: {
    createPolicy(name: string, rules: Record<string, (s: string) => string>): {
      createScript(s: string): string;
      createScriptURL(s: string): string;
    };
  };
  consentd?: unknown;
}
