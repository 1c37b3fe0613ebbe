import css from 'consentd:style';
import { banner, type BannerActions } from './banner';
import { preferences, type PreferencesActions } from './preferences';
import type { Decisions, LocaleText, Surface } from './types';

/** What stands on the screen. */
export interface Stage {
  showBanner(actions: BannerActions): void;
  showPreferences(decided: Decisions | undefined, actions: PreferencesActions): void;
  /** The surface in front. */
  front(): Surface | undefined;
  clear(): void;
}

/**
 * Builds surfaces in a shadow root at the start of the document, styled by a constructed sheet: no style
 * element for a policy to forbid, no rule of the page that reaches in. The root exists only while something is
 * shown.
 */
export function stage(text: LocaleText): Stage {
  let host: HTMLElement | undefined;
  let root: ShadowRoot;
  let first: HTMLElement | undefined;
  let dialog: HTMLDialogElement | undefined;

  function raise(): ShadowRoot {
    if (host) return root;
    host = document.createElement('consentd-widget');
    host.lang = text.lang;
    root = host.attachShadow({ mode: 'open' });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    root.adoptedStyleSheets = [sheet];
    document.body.prepend(host);
    return root;
  }

  function lower(): void {
    if (first || dialog) return;
    host?.remove();
    host = undefined;
  }

  return {
    showBanner(actions) {
      if (first) return;
      first = banner(text, actions);
      raise().prepend(first);
    },
    showPreferences(decided, actions) {
      if (dialog) return;
      const opened = (dialog = preferences(text, decided, actions));
      raise().append(opened);
      opened.onclose = () => {
        opened.remove();
        dialog = undefined;
        lower();
      };
      opened.showModal();
    },
    front: () => (dialog ? 'preferences' : first && 'banner'),
    clear() {
      first?.remove();
      first = undefined;
      if (dialog) dialog.close(); // its close event lowers
      else lower();
    },
  };
}
