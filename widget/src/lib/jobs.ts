import site from 'consentd:site';
import { copyScript } from './copyScript';
import { each } from './each';
import { guard } from './guard';
import type { Tarteaucitron } from './types';

/**
 * Runs what pages written for tarteaucitron ask for, `(tarteaucitron.job = tarteaucitron.job || []).push('gtag')`, before
 * the widget came or after: the page's own services, in tarteaucitron.services, and the few known here. A job runs once,
 * when its purpose is allowed; a service's fallback is called when it is refused. A service that writes markup with
 * tarteaucitron.fallback cannot run: text is never markup here. Gives a function to call when allowed may answer
 * differently.
 */
export function jobs(allowed: (purpose: string) => boolean, nonce: string): () => void {
  const page = (window.tarteaucitron ||= {}) as Tarteaucitron;
  const asked: string[] = [];
  const told: { [name: string]: boolean } = {};
  const begun: { [name: string]: boolean } = {};

  page.user ||= {};
  page['services'] ||= {}; // in quotes: of this name there is one of ours
  page.addScript = (url, _, done) => {
    const held = document.createElement('script');
    held.dataset['src'] = url;
    held.async = true;
    held.nonce = nonce;
    const script = copyScript(held);
    if (done) script.onload = guard(done);
    document.head.append(script);
  };
  each((page.job ?? []) as ArrayLike<string>, (name) => (asked[asked.length] = name));
  page.job = { push: guard((name: string) => ((asked[asked.length] = name), run())) };

  /** The purpose a job waits for. */
  function purpose(name: string): string | undefined {
    let found: string | undefined;
    each(site.from!, ({ kind, names }) => kind === 'tarteaucitron' && (found = names[name]));
    return found;
  }

  function run(): void {
    each(asked, (name) => {
      const waits = purpose(name);
      const yes = !!waits && allowed(waits);
      if (told[name] === yes || (!yes && waits && !allowed('!' + waits))) return;
      told[name] = yes;
      const service = page['services'][name];
      if (!waits) console.warn('consentd: no purpose is named for the job', name);
      else if (!yes) guard(() => service?.fallback?.())();
      else if (!begun[name]) {
        begun[name] = true;
        guard(() => (service ? service.js?.() : tag(name, page)))();
      }
    });
  }

  return run;
}

/** The services known here, by the names tarteaucitron gives them and the ids of the site at them. */
function tag(name: string, { user, addScript }: Tarteaucitron): void {
  const more = (fn: unknown) => typeof fn === 'function' && fn();
  if (USES_JOB_GTAG && name === 'gtag' && user['gtagUa']) {
    const layer = (window.dataLayer ||= []);
    window.gtag ||= function () {
      layer.push(arguments);
    };
    window.gtag('js', new Date());
    window.gtag('config', user['gtagUa']);
    more(user['gtagMore']);
    addScript('https://www.googletagmanager.com/gtag/js?id=' + user['gtagUa']);
  }
  if (USES_JOB_GTM && name === 'googletagmanager' && user['googletagmanagerId']) {
    (window.dataLayer ||= []).push({ 'gtm.start': Date.now(), event: 'gtm.js' });
    addScript('https://www.googletagmanager.com/gtm.js?id=' + user['googletagmanagerId']);
  }
  if (USES_JOB_MATOMO && name === 'matomo' && user['matomoHost']) {
    const queue = (window._paq ||= []);
    queue.push(['setSiteId', user['matomoId']], ['setTrackerUrl', user['matomoHost'] + 'matomo.php'], ['trackPageView'], ['enableLinkTracking']);
    more(user['matomoMore']);
    addScript(user['matomoHost'] + 'matomo.js');
  }
  if (USES_JOB_FACEBOOK && name === 'facebookpixel' && user['facebookpixelId']) {
    if (!window.fbq) {
      const fbq: NonNullable<Window['fbq']> = (window.fbq = function () {
        if (fbq.callMethod) fbq.callMethod.apply(fbq, arguments as unknown as unknown[]);
        else fbq.queue!.push(arguments);
      });
      fbq.push = fbq;
      fbq.loaded = true;
      fbq.version = '2.0';
      fbq.queue = [];
    }
    window.fbq('init', user['facebookpixelId']);
    window.fbq('track', 'PageView');
    more(user['facebookpixelMore']);
    addScript('https://connect.facebook.net/en_US/fbevents.js');
  }
}
