import site from 'consentd:site';
import { each } from './each';

/**
 * Removes what the services of purposes that are not allowed keep in the browser: cookies under every path and
 * domain this page can reach, and keys of both storages. What other paths or hosts have set stays out of reach
 * of any script here.
 */
export function forget(allowed: (purpose: string) => boolean): void {
  let patterns = '';
  each(site.purposes, (p) => {
    if (allowed(p.id)) return;
    each(p.services, (s) => each(s.cookies || [], (name) => (patterns += '|' + name.replace(/[^\w*]/g, '\\$&').replace(/\*/g, '.*'))));
  });
  if (!patterns) return;
  const match = new RegExp(`^(${patterns.slice(1)})$`);
  try {
    each(document.cookie.split('; '), (cookie) => {
      const name = cookie.split('=')[0]!;
      if (match.test(name)) expire(name);
    });
    each([localStorage, sessionStorage], (store) => each(Object.keys(store), (key) => match.test(key) && store.removeItem(key)));
  } catch {
    // a frame without storage has nothing to remove
  }
}

/** Ends a cookie under each path above this page and each domain above this host. */
function expire(name: string): void {
  const gone = name + '=;max-age=0;path=';
  const hosts = location.hostname.split('.');
  let path = '';
  each((location.pathname + '/').split(/(?=\/)|(?<=\/)/), (part) => {
    let domain = '';
    document.cookie = gone + (path += part);
    for (let i = hosts.length; i--; domain = '.' + hosts[i] + domain) document.cookie = gone + path + ';domain=' + hosts[i] + domain;
  });
}
