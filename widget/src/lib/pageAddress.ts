/** The page's address as it is reported: without its query, unless the site keeps those. */
export function pageAddress(): string {
  const page = location.origin + location.pathname;
  return USES_QUERY ? page + location.search : page;
}
