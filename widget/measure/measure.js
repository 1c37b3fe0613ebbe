// Shows each page in frames of several widths, one after the other, and measures its surfaces.
(() => {
  const count = +document.currentScript.dataset.pages;
  const widths = [1280, 375, 320];
  const height = 800;
  const looks = [];

  const until = async (what, test) => {
    for (const end = performance.now() + 15000; performance.now() < end; ) {
      const found = test();
      if (found) return found;
      await new Promise((done) => setTimeout(done, 5));
    }
    throw new Error(what + ' never came');
  };

  const open = async (page, width) => {
    const frame = document.createElement('iframe');
    Object.assign(frame, { width, height, src: page + '/' });
    frame.style.border = '0';
    document.body.append(frame);
    await new Promise((done) => (frame.onload = done));
    return frame;
  };

  /** The box of what reacts to a press: of a switch, its label. */
  const boxOf = (el) => (el.closest('label') || el).getBoundingClientRect();

  /** The part of the window that shows what scrolls with el. */
  const port = (el) => {
    const view = el.ownerDocument.defaultView;
    let box = { left: 0, top: 0, right: view.innerWidth, bottom: view.innerHeight };
    for (let at = el; at; at = at.parentElement) {
      if (!/auto|scroll/.test(getComputedStyle(at).overflowY)) continue;
      const r = at.getBoundingClientRect();
      box = { left: Math.max(box.left, r.left), top: Math.max(box.top, r.top), right: Math.min(box.right, r.right), bottom: Math.min(box.bottom, r.bottom) };
    }
    return box;
  };

  /**
   * Whether the circle of 24 px around a small target meets another target, or the circle of another small one. What
   * is scrolled away, under the buttons say, is in nobody's way.
   */
  const crowded = (el, all) => {
    const here = boxOf(el);
    if (here.width >= 24 && here.height >= 24) return false;
    el.scrollIntoView({ block: 'center' });
    const box = boxOf(el);
    const x = box.x + box.width / 2;
    const y = box.y + box.height / 2;
    return all.some((other) => {
      if (other === el) return false;
      const b = boxOf(other);
      const seen = port(other);
      if (b.bottom <= seen.top || b.top >= seen.bottom) return false;
      const near = Math.hypot(x - Math.max(b.left, Math.min(x, b.right)), y - Math.max(b.top, Math.min(y, b.bottom)));
      const small = b.width < 24 || b.height < 24;
      return near < 12 || (small && Math.hypot(x - b.x - b.width / 2, y - b.y - b.height / 2) < 24);
    });
  };

  const control = (el, all) => {
    const box = boxOf(el);
    const style = getComputedStyle(el);
    return {
      ID: el.id || el.name || '',
      Kind: el.localName,
      Label: (el.getAttribute('aria-label') || el.textContent).trim(),
      Width: box.width,
      Height: box.height,
      Top: box.top,
      Crowded: crowded(el, all),
      Cut: el.scrollWidth > el.clientWidth + 1 && el.localName === 'button',
      Look: [style.fontSize, style.fontWeight, style.color, style.backgroundColor, style.border, style.borderRadius, style.opacity, style.textDecorationLine].join(', '),
    };
  };

  /** Letters that should be seen, and are not: at both ends of each line that lies within what scrolls. */
  const hidden = (node, el, top) => {
    const range = el.ownerDocument.createRange();
    range.selectNodeContents(node);
    const seen = port(el);
    return [...range.getClientRects()].some((line) => {
      if (line.top < seen.top || line.bottom > seen.bottom) return false; // scrolled away
      return [line.left + 1, line.right - 1].some((x) =>
        [line.top + line.height / 4, line.bottom - line.height / 4].some((y) => {
          const at = top.getRootNode().elementFromPoint(x, y);
          return !at || !top.contains(at);
        }),
      );
    });
  };

  const texts = (top) => {
    const all = [];
    const walker = top.ownerDocument.createTreeWalker(top, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const node = walker.currentNode;
      const el = node.parentElement;
      if (!node.data.trim() || !el.checkVisibility({ visibilityProperty: true })) continue;
      all.push({ Text: node.data.trim().slice(0, 40), In: el.closest('button')?.id || '', Size: parseFloat(getComputedStyle(el).fontSize), Cut: hidden(node, el, top) });
    }
    return all;
  };

  const measure = (page, width, surface, top) => {
    const all = [...top.querySelectorAll('button, a, input')];
    looks.push({ Page: page, Width: width, Surface: surface, Controls: all.map((el) => control(el, all)), Texts: texts(top) });
  };

  const visit = async (page, width) => {
    localStorage.clear();
    for (const cookie of document.cookie.split('; ')) document.cookie = cookie.split('=')[0] + '=;max-age=0;path=/';
    const frame = await open(page, width);
    const doc = frame.contentDocument;
    const root = () => doc.querySelector('consentd-widget')?.shadowRoot;
    measure(page, width, 'banner', await until('the banner', () => root()?.querySelector('#banner')));
    root().querySelector('#choose').click();
    measure(page, width, 'preferences', await until('the preferences', () => root()?.querySelector('dialog:not(#banner)[open]')));
    root().querySelector('dialog:not(#banner) #refuse').click();
    await until('the end of both', () => !root()?.querySelector('dialog, #banner')); // a dialog ends with an event
    const reopen = root()?.querySelector('aside');
    if (reopen) measure(page, width, 'reopen', reopen);
    frame.contentWindow.consentd.open();
    const receipt = root().querySelector('.receipt');
    if (receipt) {
      receipt.scrollIntoView();
      measure(page, width, 'receipt', receipt);
    }
    root().host.remove(); // placeholders are measured with nothing in front of them
    for (const host of doc.querySelectorAll('consentd-embed')) {
      host.scrollIntoView();
      measure(page, width, 'placeholder', host.shadowRoot.querySelector('figure'));
    }
    frame.remove();
  };

  const run = async () => {
    for (let page = 0; page < count; page++) for (const width of widths) await visit(page, width);
    return { Looks: looks };
  };

  addEventListener('load', () =>
    run()
      .catch((err) => ({ Failed: String(err) }))
      .then((body) => fetch('/figures', { method: 'POST', body: JSON.stringify(body) })),
  );
})();
