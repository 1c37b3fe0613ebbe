import site from 'consentd:site';
import { each } from './each';
import { every } from './every';

/**
 * The purposes an element waits for, all of them; undefined when it names none the site has. The markup of
 * another tool names services: one of them is enough, and "!" in front means "once it is refused or taken back", on
 * that page and on those after it.
 */
export function marked(el: HTMLElement): string[] | undefined {
  let names = (el.dataset['consent'] || '').trim().split(/\s+/);
  if (USES_MIGRATE) {
    each(site.from!, ({ attribute, names: known }) => {
      const parts = /^(!?)(.*)$/.exec((attribute && el.getAttribute(attribute)) || '')!;
      const purpose = Object.prototype.hasOwnProperty.call(known, parts[2]!) && known[parts[2]!];
      if (purpose) names = [parts[1] + purpose];
    });
  }
  const ours = every(names, (name) => !every(site.purposes, (p) => p.id !== (USES_MIGRATE ? name.replace(/^!/, '') : name)));
  return ours ? names : undefined;
}
