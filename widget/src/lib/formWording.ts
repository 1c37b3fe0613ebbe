import site from 'consentd:site';
import { each } from './each';
import { formBoxes } from './formBoxes';
import { formIdentifier } from './formIdentifier';
import { formWords } from './formWords';
import { json } from './json';
import type { FormSite } from './types';

/** A place of the document, and the words gathered for it. */
interface Place {
  words: string;
}

/** What each box says, by purpose. */
export type FormSaid = Record<string, { readonly title: Place; readonly text: Place }>;

const place = (): Place => ({ words: '' });
const controls = 'input:not([type=hidden]),select,textarea,button';

/**
 * Reads the wording of a page's form from the page, as it is shown at this moment, and gives it as a wording
 * document (DESIGN §2), canonical. Of each box it takes the labels (title) and what describes it or stands with it
 * alone (text); of the identifiers labels and hints; the first heading; the label of the button; every link; and
 * whatever else the form says. Labels of other fields are no part of it, and nothing that was entered is.
 *
 * said keeps what boxes said when they were last seen: a form of several steps is submitted when they are no longer
 * on the screen. A box that never said anything is not in the document.
 */
export function formWording(el: HTMLFormElement, form: FormSite, locale: string, said: FormSaid, pressed?: HTMLElement | null): string {
  const taken = new Map<Node, Place>();
  const take = (node: Node | null | undefined, by: Place) => {
    if (node && !taken.has(node)) taken.set(node, by);
  };
  const named = (of: Element, attribute: string, by: Place) =>
    each((of.getAttribute(attribute) ?? '').split(/\s+/), (id) => take(id ? document.getElementById(id) : null, by));
  const labels = (of: HTMLInputElement, by: Place) => {
    each(of.labels ?? [], (label) => take(label, by));
    named(of, 'aria-labelledby', by);
  };

  // What each node belongs to …
  const now: FormSaid = {};
  formBoxes(el, form, (box, { id }) => {
    const { title, text } = (now[id] = { title: place(), text: place() });
    labels(box, title);
    named(box, 'aria-describedby', text);
  });
  formBoxes(el, form, (box, { id }) => around(box, now[id]!.title, now[id]!.text));
  const fields: { input: HTMLInputElement; kind: string; label: Place; hint: Place }[] = [];
  each(form.fields, ({ kind }) => {
    const input = formIdentifier(el, kind);
    if (!input) return;
    const field = (fields[fields.length] = { input, kind, label: place(), hint: place() });
    labels(input, field.label);
    named(input, 'aria-describedby', field.hint);
  });
  const title = place();
  named(el, 'aria-labelledby', title);
  take(el.querySelector('legend,h1,h2,h3,h4,h5,h6'), title);
  const rest = place();
  take(el, rest);

  /** What stands with a box alone: the widest element without another control, else what follows it. */
  function around(box: HTMLInputElement, title: Place, text: Place): void {
    let widest: Element | undefined;
    for (let up = box.parentElement!; up !== el && up.querySelectorAll(controls).length === 1; up = up.parentElement!) widest = up;
    const bare = !box.labels?.[0] && !box.hasAttribute('aria-labelledby');
    take(widest, bare ? title : text);
    for (let next = box.nextSibling; bare && !widest && next; next = next.nextSibling) {
      if (next instanceof Element && (next.matches('br,' + controls) || next.querySelector(controls))) break;
      take(next, title);
    }
  }

  // … what it says …
  const met = new Set<Node>();
  taken.forEach((by, node) => (by.words += formWords(node, taken, met)));
  const tidy = (by: Place, el?: Element | null) =>
    by.words.replace(/ *\n[ \n]*/g, '\n').replace(/  +/g, ' ').trim() || (el?.getAttribute('aria-label') ?? '');

  // … and the document, its names in order.
  const links: object[] = [];
  each(el.querySelectorAll<HTMLAnchorElement>('a[href]'), (a) => {
    if (!met.has(a) || !/^https?:/.test(a.href)) return;
    const words = { words: formWords(a, new Map(), new Set()) };
    links[links.length] = { 'href': a.href, 'rel': /privacy/.test(a.rel) ? 'policy' : 'link', 'text': tidy(words) };
  });
  const purposes: object[] = [];
  formBoxes(el, form, (box, { id, basis, objection }) => {
    if (tidy(now[id]!.title)) said[id] = now[id]!;
    const words = said[id];
    if (words) {
      purposes[purposes.length] = {
        'basis': basis, 'default': box.defaultChecked, 'id': id, 'objection': objection, 'required': false, 'services': [],
        'text': tidy(words.text), 'title': tidy(words.title),
      };
    }
  });
  const shownFields: object[] = [];
  each(fields, ({ input, kind, label, hint }, i) => {
    shownFields[i] = {
      'hint': tidy(hint) || undefined, 'kind': kind, 'label': tidy(label, input) || input.placeholder,
      'required': input.required || undefined,
    };
  });
  const button = pressed ?? el.querySelector<HTMLElement>('[type=submit],[type=image],button:not([type])');
  const label = { words: button instanceof HTMLInputElement ? button.value || button.alt : button ? formWords(button, new Map(), new Set()) : '' };
  return json({
    'buttons': { 'submit': tidy(label, button) },
    'controller': { 'contact': site.controller[1], 'name': site.controller[0] },
    'fields': shownFields[0] && shownFields,
    'links': links, 'locale': locale, 'purposes': purposes, 'revision': site.revision, 'site': site.id, 'surface': 'form:' + form.id,
    'text': tidy(rest), 'title': tidy(title, el), 'v': 1,
  });
}
