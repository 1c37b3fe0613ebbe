import site from 'consentd:site';
import { each } from './each';
import { element } from './element';

/** A service that shows a frame. */
interface Player {
  /** Class of its elements. */
  css: string;
  /** Of its frames, before the id; '' where the element says the whole address. */
  address: string;
  /** Attributes that are handed on. */
  parameters: string;
}

const known: Record<string, Player> = {
  youtube: { css: 'youtube_player', address: 'https://www.youtube-nocookie.com/embed/', parameters: 'rel controls autoplay mute start end loop enablejsapi' },
  vimeo: {
    css: 'vimeo_player',
    address: 'https://player.vimeo.com/video/',
    parameters: 'byline portrait loop autoplay autopause background color controls muted playsinline speed hash',
  },
  dailymotion: { css: 'dailymotion_player', address: 'https://www.dailymotion.com/embed/video/', parameters: 'autoplay mute start' },
  googlemapsembed: { css: 'googlemapsembed', address: '', parameters: '' },
  iframe: { css: 'tac_iframe', address: '', parameters: '' },
};

/**
 * Puts into the elements that tarteaucitron makes players of (`<div class="youtube_player" videoID="…">`) a frame that
 * waits for the service's purpose, in the markup of our own.
 */
export function players(): void {
  each(site.from!, ({ kind, names }) => {
    if (kind !== 'tarteaucitron') return;
    each(Object.keys(known), (name) => {
      const purpose = names[name];
      if (!purpose) return;
      each(document.querySelectorAll<HTMLElement>('.' + known[name]!.css), (el) => {
        if (!el.querySelector('iframe')) el.append(frame(el, name, purpose, known[name]!));
      });
    });
  });
}

function frame(el: HTMLElement, name: string, purpose: string, { address, parameters }: Player): HTMLElement {
  const read = (attribute: string) => el.getAttribute('data-' + attribute) || el.getAttribute(attribute) || '';
  const id = encodeURIComponent(read('videoID'));
  let query = '';
  each(parameters.split(' '), (parameter) => {
    const value = read(parameter);
    if (value) query += `&${parameter === 'hash' ? 'h' : parameter}=${encodeURIComponent(value)}`;
  });
  if (name === 'youtube' && read('loop') === '1') query += '&playlist=' + id; // it repeats lists alone
  return element('iframe', {
    'data-consent': purpose,
    'data-src': address ? address + id + query.replace('&', '?') : read('url'),
    title: read('title') || name,
    width: read('width'),
    height: read('height'),
    frameborder: '0',
    allow: 'autoplay; encrypted-media; fullscreen; picture-in-picture',
  });
}
