import site from 'consentd:site';
import { element } from './element';
import type { LocaleText } from './types';

/** Makes the line that names the policy, the controller and how to reach it. */
export function legal({ policy }: LocaleText, link: Record<string, string>): HTMLElement {
  return element(
    'p',
    { class: 'legal' },
    element('a', { href: policy[1], ...link }, policy[0]),
    ...site.controller.filter(Boolean).map((words) => element('span', {}, words)),
  );
}
