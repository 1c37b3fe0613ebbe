/** The page's address as it is reported: without its query, unless the site keeps those. */
export function pageAddress(): string {
  return location.origin + location.pathname + (USES_QUERY ? location.search : '');
}
