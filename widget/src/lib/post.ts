/**
 * Posts a JSON body as text/plain, which needs no preflight, in a way that outlives the page. Undefined when
 * no answer was seen: the request may or may not have arrived.
 */
export async function post(url: string, body: unknown): Promise<Response | undefined> {
  const text = JSON.stringify(body);
  let answer: Promise<Response>;
  try {
    answer = fetch(url, { method: 'POST', body: text, keepalive: true, credentials: 'omit' });
  } catch {
    // No fetch, or one that a page has broken: a beacon is on its way, but brings no answer.
    navigator.sendBeacon?.(url, text);
    return undefined;
  }
  return answer.catch(() => undefined);
}
