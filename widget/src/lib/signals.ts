import site from 'consentd:site';
import { each } from './each';
import type { Decisions } from './types';

/**
 * Tells the tools the site names which of their purposes may be acted on: at the start of each page (type
 * default, unless a choice is in force) and at each choice (type update). What a tool does with it is the tool's.
 */
export function signals(allowed: (purpose: string) => boolean, type: 'default' | 'update', decisions: Decisions | undefined): void {
  const word = (purpose: string) => (allowed(purpose) ? 'granted' : 'denied');
  if (USES_GOOGLE || USES_LAYER) {
    const layer = (window.dataLayer ||= []);
    if (USES_GOOGLE) {
      const states: Record<string, string> = {};
      each(Object.keys(site.google!), (signal) => {
        const purpose = site.google![signal]!;
        states[signal] = purpose || signal !== 'security_storage' ? word(purpose) : 'granted'; // no purpose is never allowed
      });
      // gtag reads the arguments object of a call, not an array.
      const gtag: (...args: unknown[]) => void = function () {
        layer.push(arguments);
      };
      gtag('consent', type, states);
    }
    if (USES_LAYER && decisions) layer.push({ event: 'consentd_change', consentd: decisions });
  }
  if (USES_UET) (window.uetq ||= []).push('consent', type, { ad_storage: word(site.uet!) });
  if (type === 'default') return;
  if (USES_CLARITY) {
    const clarity = (window.clarity ||= function () {
      (clarity.q ||= []).push(arguments);
    } as NonNullable<Window['clarity']>);
    clarity('consentv2', { ad_Storage: word(site.clarity![0]!), analytics_Storage: word(site.clarity![1]!) });
  }
  if (USES_MATOMO) {
    const queue = (window._paq ||= []);
    each(['Consent', 'CookieConsent'], (what, i) => {
      const purpose = site.matomo![i];
      if (purpose) queue.push([allowed(purpose) ? `set${what}Given` : `forget${what}Given`]);
    });
  }
}
