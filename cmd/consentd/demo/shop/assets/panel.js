// The panels of the demo shop: the browser's own choice, what the server answers for its device, and what tools see.
(() => {
  const edge = document.currentScript.dataset.edge;
  const $ = (id) => document.getElementById(id);
  const none = $('scripts').textContent;
  const running = new Set();

  document.addEventListener('demo:script', (e) => {
    running.add(e.detail);
    $('scripts').textContent = [...running].join(', ');
    jar();
  });

  const row = (cells) => {
    const tr = document.createElement('tr');
    for (const text of cells) tr.appendChild(document.createElement('td')).textContent = text;
    return tr;
  };

  const jar = () => {
    const names = document.cookie.split('; ').map((pair) => pair.split('=')[0]);
    $('cookies').textContent = names.filter((name) => name && !name.startsWith('consentd')).join(', ') || none;
  };

  // What Google's tags are told, kept by the snippet until they come.
  const google = () => {
    const last = (window.dataLayer || []).filter((entry) => entry[0] === 'consent').pop();
    if (!last) return;
    $('signal').textContent = last[1];
    const states = Object.entries(last[2]).filter(([name]) => name !== 'wait_for_update');
    $('google').tBodies[0].replaceChildren(...states.map(row));
  };

  // A choice is on its way when the event fires: ask until the server has it, for twenty seconds.
  const show = async (choice, tries = 200) => {
    jar();
    google();
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
