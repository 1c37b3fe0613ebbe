import site from 'consentd:site';
import { each } from './each';
import { element } from './element';
import type { LocaleText } from './types';

/** Makes the line that names the policy, the controller and how to reach it. */
export function legal({ policy }: Pick<LocaleText, 'policy'>, link: Record<string, string>): HTMLElement {
  const line = element('p', { class: 'legal' }, element('a', { href: policy[1], ...link }, policy[0]));
  each(site.controller, (words) => words && line.append(element('span', {}, words)));
  return line;
}
