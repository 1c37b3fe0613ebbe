/**
 * Calls fn for each item. Here and everywhere in the widget no method or iterator of Array is used: pages are
 * found that replace them.
 */
export function each<T>(list: ArrayLike<T>, fn: (item: T, i: number) => void): void {
  for (let i = 0; i < list.length; i++) fn(list[i]!, i);
}
