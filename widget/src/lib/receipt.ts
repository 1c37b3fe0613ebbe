import { button } from './button';
import { element } from './element';
import type { Outbox } from './outbox';
import { storage } from './storage';
import { storageKey } from './storageKey';
import type { LocaleText } from './types';

interface Standing {
  readonly since?: string;
  readonly proof?: string;
}

/**
 * Makes the button that downloads the signed receipt of the last choice of a device, and the line beside it that says
 * why there is none. The edge is asked which proof that is: a choice shared by a cookie may have been sent from
 * another host. Nobody has consented to this button: it is marked as what is no wording.
 */
export function receipt(edge: string, device: string, text: NonNullable<LocaleText['receipt']>, sent: Outbox): HTMLElement {
  const said = element('output', {});

  async function ask(path: string): Promise<Response> {
    const answer = await fetch(edge + path);
    if (!answer.ok) throw answer.status;
    return answer;
  }

  async function download(): Promise<void> {
    await sent.flush();
    if (storage.get(storageKey + '_outbox')) {
      said.textContent = text[1];
      return;
    }
    const { decisions } = (await (await ask('devices/' + device)).json()) as { decisions: Record<string, Standing> };
    let last: Standing = {};
    for (const purpose in decisions) if ((decisions[purpose]!.since ?? '') > (last.since ?? '')) last = decisions[purpose]!;
    const signed = await (await ask(`proofs/${last.proof}/receipt?device=${device}`)).blob();
    const href = URL.createObjectURL(signed);
    element('a', { href, download: `receipt-${last.proof}.jwt` }).click();
    setTimeout(() => URL.revokeObjectURL(href), 1e4); // by then the browser has begun
    said.textContent = '';
  }

  const press = () => {
    said.textContent = '…';
    download().catch(() => (said.textContent = text[2]));
  };
  return element('div', { class: 'receipt', 'data-consentd-ignore': '' }, button('receipt', text[0], press), said);
}
