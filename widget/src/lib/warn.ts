/** Tells whoever wrote the page which attribute of an element keeps it from doing anything. */
export function warn(attribute: string, el: Element): void {
  console.warn(`consentd: check ${attribute}:`, el);
}
