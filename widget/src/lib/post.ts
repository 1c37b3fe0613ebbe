import site from 'consentd:site';

/**
 * Posts a body of JSON as text/plain, which needs no preflight, in a way that outlives the page. Undefined when
 * no answer was seen: the request may or may not have arrived. Credentials are sent to the site's own domain
 * alone, so that an edge there can set the cookie of the choice again, over HTTP.
 */
export async function post(url: string, body: string): Promise<Response | undefined> {
  const own = USES_DOMAIN && ('.' + new URL(url).hostname).endsWith('.' + site.domain) && { credentials: 'include' as const };
  let answer: Promise<Response>;
  try {
    answer = fetch(url, { method: 'POST', body, keepalive: true, ...own });
    void answer.then;
  } catch {
    // No fetch, or one that the page has broken: a beacon is on its way, but brings no answer.
    navigator.sendBeacon(url, body);
    return undefined;
  }
  return answer.then(
    (got) => (got?.status ? got : undefined),
    () => undefined,
  );
}
