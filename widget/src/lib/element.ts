import { each } from './each';

/**
 * Makes an element. Children that are strings become text nodes and nothing else: no text of the
 * configuration is ever parsed as markup. What is false or empty is left out.
 */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string>,
  ...children: (Node | string | false | undefined)[]
): HTMLElementTagNameMap[K] {
  const el = document.createElement(tag);
  for (const name in attributes) el.setAttribute(name, attributes[name]!);
  each(children, (child) => child && el.append(child));
  return el;
}
