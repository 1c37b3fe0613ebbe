import { each } from './each';

// Controls, and what speaks of what a person has entered: none of it is the form's own wording.
const skipped = 'label,button,input,select,textarea,output,[aria-live],[role=alert],[role=status],[contenteditable],[data-consentd-ignore]';

/**
 * The text of a node as it is shown, a line for each block: without what is hidden, what stands elsewhere (taken)
 * and what belongs to other controls. Links met on the way are added to links.
 */
export function formWords(node: Node, taken: Map<Node, unknown>, links: Set<Node>): string {
  if (node instanceof Text) return node.data.replace(/\s+/g, ' ');
  if (!(node instanceof Element)) return '';
  if (node.localName === 'br') return '\n';
  const { display } = getComputedStyle(node);
  const asked = { opacityProperty: true, visibilityProperty: true };
  if (display !== 'contents' && !(node.checkVisibility ? node.checkVisibility(asked) : node.getClientRects().length)) return '';
  links.add(node);
  let text = node.getAttribute('alt') ?? '';
  each(node.childNodes, (child) => {
    if (!taken.has(child) && !(child instanceof Element && child.matches(skipped))) text += formWords(child, taken, links);
  });
  return /inline|contents/.test(display) ? text : `\n${text}\n`;
}
