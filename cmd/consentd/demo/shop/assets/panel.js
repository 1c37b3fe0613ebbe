// The panel of the demo shop: shows the browser's own choice and what the server answers for its device.
(() => {
  const edge = document.currentScript.dataset.edge;
  const $ = (id) => document.getElementById(id);
  const running = new Set();

  document.addEventListener('demo:script', (e) => {
    running.add(e.detail);
    $('scripts').textContent = [...running].join(', ');
  });

  const row = (cells) => {
    const tr = document.createElement('tr');
    for (const text of cells) tr.appendChild(document.createElement('td')).textContent = text;
    return tr;
  };

  // A choice is on its way when the event fires: ask until the server has it, at most two seconds.
  const show = async (choice, tries = 20) => {
    if (!choice) return;
    $('none').hidden = true;
    $('known').hidden = false;
    $('device').textContent = choice.device;
    $('wording').textContent = choice.wording;
    $('wording').href = `${edge}/v1/sites/demo/wordings/${choice.wording}`;
    const res = await fetch(`${edge}/v1/sites/demo/devices/${choice.device}`).catch(() => null);
    const answers = res && res.ok ? Object.entries((await res.json()).decisions) : [];
    const wanted = Object.entries(choice.decisions);
    const fresh = wanted.every(([purpose, yes]) => answers.some(([p, a]) => p === purpose && a.allowed === yes && a.proof));
    if (!fresh && tries > 0) {
      setTimeout(show, 100, choice, tries - 1);
      return;
    }
    $('answers').tBodies[0].replaceChildren(...answers.map(([purpose, a]) => row([purpose, a.status, a.proof || '–'])));
  };

  window.consentd = window.consentd || [];
  window.consentd.push((api) => {
    show(api.get());
    api.on('change', (choice) => show(choice));
  });
})();
