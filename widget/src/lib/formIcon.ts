// Drawn on 24 by 24: a tick, a letter, an arrow that comes back. In quotes, since a status picks one.
const paths = {
  'recorded': 'M6 12.5l4 4 8-9',
  'pending': 'M4.5 7.5h15v9.5h-15zl7.5 5.5 7.5-5.5',
  'waiting': 'M18 12a6 6 0 1 1-2-4.5M16.5 3.5v4h-4',
};

/** The sign of an outcome. It says nothing the words beside it do not. */
export function formIcon(status: keyof typeof paths): SVGElement {
  const make = (tag: string) => document.createElementNS('http://www.w3.org/2000/svg', tag) as SVGElement;
  const svg = make('svg');
  const path = make('path');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  path.setAttribute('d', paths[status]);
  svg.append(path);
  return svg;
}
