import { copyScript } from './copyScript';
import { each } from './each';
import { trust } from './trust';

const attributes = ['src', 'srcset', 'href', 'data', 'poster'];

/**
 * Gives an element what it was kept from: its data-src and the like, and what a template in it (or the template
 * it is) holds. Gives a function that empties it again.
 */
export function fill(el: HTMLElement): () => void {
  const trusted = trust();
  const added: ChildNode[] = [];
  const kept = (name: string) => el.dataset[name] || (USES_CONSENTLOOP && name === 'src' && el.dataset['consentSrc']);
  each(attributes, (name) => {
    const value = kept(name);
    if (value) el.setAttribute(name, trusted ? trusted.createScriptURL(value) : value);
  });
  const template = el instanceof HTMLTemplateElement ? el : el.querySelector('template');
  if (template) {
    const content = document.importNode(template.content, true);
    // A script that was copied with its element is nobody's under Trusted Types: it is made anew.
    each(content.querySelectorAll('script'), (script) => script.replaceWith(copyScript(script, script.type)));
    each(content.childNodes, (node) => (added[added.length] = node));
    template.after(content);
  }
  return () => {
    if (el instanceof HTMLIFrameElement) el.src = 'about:blank';
    each(attributes, (name) => kept(name) && el.removeAttribute(name));
    each(added, (node) => node.remove());
  };
}
