import { element } from './element';
import { guard } from './guard';

/** Makes a button. Every button of a surface comes from here. */
export function button(id: string, label: string, press: () => void): HTMLButtonElement {
  const el = element('button', { type: 'button', id }, label);
  el.onclick = guard(press);
  return el;
}
