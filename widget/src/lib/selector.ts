import site from 'consentd:site';
import { each } from './each';

/** Selects what may wait for a choice. */
export const selector = /* @__PURE__ */ (() => {
  let all = '[data-consent]';
  if (USES_MIGRATE) each(site.from!, ({ attribute }) => attribute && (all += `,[${attribute}]`));
  return all;
})();
