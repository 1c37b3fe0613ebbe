import { banner, type BannerActions } from './banner';
import { button } from './button';
import { element } from './element';
import { furnish } from './furnish';
import { guard } from './guard';
import { preferences, type PreferencesActions } from './preferences';
import { shadow } from './shadow';
import { sheet } from './sheet';
import type { Decisions, LocaleText, Surface } from './types';

/** What stands on the screen. */
export interface Stage {
  showBanner(): void;
  showPreferences(decided: Decisions, actions: PreferencesActions): void;
  /** The surface in front. */
  front(): Surface | false | undefined;
  clear(): void;
}

/**
 * Builds surfaces in a shadow root at the start of the document, which exists only while something is shown, and tells
 * when the frame comes that has the banner. Where the site wants a button that leads back, it is there once the banner
 * is not: also behind the preferences, which give the focus back to it. While granted says that something is agreed to,
 * refusing everything stands beside it: what took one press to give takes one to take back (GDPR art. 7(3)).
 */
export function stage(
  text: LocaleText,
  on: BannerActions,
  there: () => void,
  withdraw: () => void,
  granted: () => boolean,
): Stage {
  let host: HTMLElement | undefined;
  let root: ShadowRoot;
  let first: HTMLElement | undefined;
  let dialog: HTMLDialogElement | undefined;
  let small: HTMLElement | undefined;
  let undo: HTMLElement | undefined;

  function raise(): ShadowRoot {
    if (!host) {
      ({ host, root } = shadow('consentd-widget', text));
      root.adoptedStyleSheets = [sheet(0)];
    }
    if (!host!.isConnected) parent().prepend(host!);
    return root;
  }

  /** Puts up the banner that is still to come. */
  function place(): void {
    const shown = first;
    // Preferences the page has asked for stand alone until they close.
    if (!shown || shown.isConnected || dialog) return;
    raise().prepend(shown);
    // Asks for nothing, and holds the page's load event back until that is clear: at the event the browser would lay the
    // banner out at once, in the same long task as the script, which keeps a press of the visitor waiting.
    element('img', { src: '' });
    if (USES_MODAL) {
      const modal = shown as HTMLDialogElement;
      modal.oncancel = (e) => e.preventDefault();
      modal.onclose = () => modal.isConnected && modal.showModal(); // browsers let a second Esc through
      modal.showModal();
    }
    // A tab nobody looks at has no frames, and asks nobody.
    requestAnimationFrame(guard(() => first === shown && there()));
  }

  function lower(): void {
    if (first || dialog) return;
    if (USES_REOPEN) {
      if (!small) {
        raise().append((small = element('aside', {}, button('reopen', text.reopen!, on.choose))));
        furnish(root);
      }
      undo?.remove();
      const takeBack = () => {
        withdraw();
        (small!.firstChild as HTMLElement).focus(); // the button pressed is gone
      };
      if (granted()) small.append((undo = button('withdraw', text.refuse, takeBack)));
    } else {
      host?.remove();
      host = undefined;
    }
  }

  return {
    showBanner() {
      first ??= banner(text, on);
      place();
    },
    showPreferences(decided, actions) {
      if (dialog) return;
      const opened = (dialog = preferences(text, decided, actions));
      raise().append(opened);
      furnish(root);
      opened.onclose = () => {
        opened.remove();
        dialog = undefined;
        place();
        lower();
      };
      opened.showModal();
    },
    front: () => (dialog ? 'preferences' : first?.isConnected && 'banner'),
    clear() {
      const asked = first;
      first = undefined;
      dialog?.close(); // its close event lowers
      if (USES_MODAL) (asked as HTMLDialogElement | undefined)?.close(); // which gives the focus back to the page
      asked?.remove();
      if (!dialog) lower();
    },
  };
}

/**
 * Where the host goes: the start of the body. A rule of the page that hides everything hides that too; then the
 * host goes beside it, in a root element that is shown again. The body stays hidden, whatever that is for.
 */
function parent(): HTMLElement {
  const { body, documentElement } = document;
  if (getComputedStyle(body).display !== 'none') return body;
  documentElement.style.setProperty('display', 'block', 'important');
  return documentElement;
}
