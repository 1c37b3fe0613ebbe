import { each } from './each';
import { element } from './element';

/** Makes a list with one entry for each item. */
export function listing<T>(items: readonly T[], entry: (item: T, i: number) => HTMLElement): HTMLUListElement {
  const list = element('ul', {});
  each(items, (item, i) => list.append(entry(item, i)));
  return list;
}
