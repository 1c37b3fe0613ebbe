/** Whether test holds for each item. */
export function every<T>(list: ArrayLike<T>, test: (item: T) => boolean): boolean {
  for (let i = 0; i < list.length; i++) if (!test(list[i]!)) return false;
  return true;
}
