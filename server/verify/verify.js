// @ts-check
'use strict';

// Verifies evidence files as storage/evidence/doc.go describes them. verifyFile gives the same parts, checks and
// statuses as the Go verifier; a test holds both to the same files. What follows it is the page.

/** @typedef {{part: string, check: string, status: 'passed' | 'refused' | 'skipped', why?: string, data?: object}} Step */
/** @typedef {{origin: string, size: number, root: string, at: string, succeeds?: {origin: string, size: number, root: string}}} Checkpoint */
/** @typedef {{name: string, raw: Uint8Array}} Key */

const encoder = new TextEncoder();

/** What is wrong, as a code the page has words for. */
class Refusal extends Error {}

/** @param {boolean} ok @param {string} why */
function need(ok, why) {
  if (!ok) throw new Refusal(why);
}

/** @param {string | Uint8Array} data */
async function sha256(data) {
  const bytes = typeof data === 'string' ? encoder.encode(data) : data;
  return new Uint8Array(await crypto.subtle.digest('SHA-256', /** @type {BufferSource} */ (bytes)));
}

/** @param {Uint8Array[]} parts */
function join(...parts) {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) out.set(p, at), (at += p.length);
  return out;
}

/** @param {Uint8Array} b */
const hex = (b) => Array.from(b, (c) => c.toString(16).padStart(2, '0')).join('');

/** @param {string} s */
function unhex(s) {
  if (!/^(?:[0-9a-f]{2})*$/.test(s)) return undefined;
  return Uint8Array.from(s.match(/../g) ?? [], (d) => parseInt(d, 16));
}

/** @param {Uint8Array} b */
const base64 = (b) => btoa(String.fromCharCode(...b));

/** Standard base64 in its one spelling; undefined for anything else. @param {unknown} s */
function unbase64(s) {
  if (typeof s !== 'string') return undefined;
  try {
    const b = Uint8Array.from(atob(s), (c) => c.charCodeAt(0));
    return base64(b) === s ? b : undefined;
  } catch {
    return undefined;
  }
}

/** RFC 8785. @param {any} v @returns {string} */
function canonical(v) {
  if (Array.isArray(v)) return `[${v.map(canonical).join(',')}]`;
  if (v && typeof v === 'object') {
    return `{${Object.keys(v).sort().map((k) => `${JSON.stringify(k)}:${canonical(v[k])}`).join(',')}}`;
  }
  return JSON.stringify(v);
}

// ---- keys and signed notes (C2SP signed-note)

/** @param {string} name @param {Uint8Array} raw the byte of the kind, and the key */
async function keyHash(name, raw) {
  return (await sha256(join(encoder.encode(name + '\n'), raw))).subarray(0, 4);
}

/** @param {string} text @returns {Promise<Key>} */
async function parseKey(text) {
  text = text.trim();
  need(!text.startsWith('PRIVATE+KEY+'), 'key_private');
  const [name, hash, ...rest] = text.split('+');
  const raw = unbase64(rest.join('+'));
  need(!!name && !/\s/.test(name) && !!raw && raw.length > 1, 'key_malformed');
  const bytes = /** @type {Uint8Array} */ (raw);
  need(bytes[0] === 1, 'key_kind');
  need(bytes.length === 33 && hash === hex(await keyHash(name ?? '', bytes)), 'key_malformed');
  return { name: name ?? '', raw: bytes };
}

/** @param {Key} key @param {string} name */
const covers = (key, name) => name === key.name || name.startsWith(key.name + '/');

/** The text of a note that one of keys has signed as name. @param {string} note @param {string} name @param {Key[]} keys */
async function openNote(note, name, keys) {
  // deno-lint-ignore no-control-regex
  need(!/[\x00-\x09\x0b-\x1f]/.test(note), 'note');
  const split = note.lastIndexOf('\n\n');
  need(split >= 0 && note.length > split + 2 && note.endsWith('\n'), 'note');
  const text = note.slice(0, split + 1);
  let verified = 0;
  for (const line of note.slice(split + 2, -1).split('\n')) {
    const [dash, signer, b64, more] = line.split(' ');
    const sig = unbase64(b64);
    need(dash === '—' && !!signer && !signer.includes('+') && more === undefined && !!sig && sig.length > 4, 'note');
    if (signer !== name) continue;
    for (const key of keys) {
      if (!covers(key, name) || hex(await keyHash(name, key.raw)) !== hex(/** @type {Uint8Array} */ (sig).subarray(0, 4))) continue;
      const pub = await crypto.subtle.importKey('raw', /** @type {BufferSource} */ (key.raw.subarray(1)), 'Ed25519', false, ['verify']);
      const good = await crypto.subtle.verify('Ed25519', pub, /** @type {BufferSource} */ (/** @type {Uint8Array} */ (sig).subarray(4)), encoder.encode(text));
      need(good, 'note');
      verified++;
    }
  }
  need(verified > 0, 'unknown_key');
  return text;
}

// ---- checkpoints (C2SP tlog-checkpoint)

const moment = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
/** @param {unknown} s */
const isMoment = (s) => typeof s === 'string' && moment.test(s) && !Number.isNaN(Date.parse(s)) && new Date(s).toISOString() === s;
/** @param {unknown} s */
const isHash = (s) => unbase64(s)?.length === 32;
/** @param {string} s */
const isSize = (s) => /^(?:0|[1-9]\d*)$/.test(s) && Number.isSafeInteger(Number(s));

/** @param {string} note @param {Key[]} keys @returns {Promise<Checkpoint>} */
async function openCheckpoint(note, keys) {
  const text = await openNote(note, note.split('\n', 1)[0] ?? '', keys);
  const lines = text.slice(0, -1).split('\n');
  const [origin, size, root, time, succeeds] = lines;
  need((lines.length === 4 || lines.length === 5) && !!origin && isSize(size ?? '') && isHash(root), 'checkpoint');
  need(!!time && time.startsWith('time ') && isMoment(time.slice(5)), 'checkpoint');
  const c = /** @type {Checkpoint} */ ({ origin, size: Number(size), root, at: (time ?? '').slice(5) });
  if (succeeds !== undefined) {
    const words = succeeds.split(' ');
    need(words.length === 4 && words[0] === 'succeeds' && isSize(words[2] ?? '') && isHash(words[3]), 'checkpoint');
    c.succeeds = { origin: words[1] ?? '', size: Number(words[2]), root: words[3] ?? '' };
  }
  return c;
}

// ---- trees (RFC 6962 §2.1)

/** @param {string} entry */
const leafHash = (entry) => sha256(join(Uint8Array.of(0), encoder.encode(entry)));
/** @param {Uint8Array} left @param {Uint8Array} right */
const nodeHash = (left, right) => sha256(join(Uint8Array.of(1), left, right));

/** The largest power of two below n. @param {number} n */
function below(n) {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

/** The root an audit path leads to. @param {Uint8Array[]} path @param {number} index @param {number} size @param {Uint8Array} leaf @returns {Promise<Uint8Array>} */
async function rootOf(path, index, size, leaf) {
  if (size === 1) {
    need(path.length === 0, 'path');
    return leaf;
  }
  need(path.length > 0, 'path');
  const k = below(size);
  const side = /** @type {Uint8Array} */ (path[path.length - 1]);
  const rest = path.slice(0, -1);
  return index < k ? nodeHash(await rootOf(rest, index, k, leaf), side) : nodeHash(side, await rootOf(rest, index - k, size - k, leaf));
}

/** The roots of the old and the new tree a consistency proof leads to. @param {Uint8Array[]} path @param {number} lo @param {number} hi @param {number} n @param {Uint8Array} old @returns {Promise<[Uint8Array, Uint8Array]>} */
async function rootsOf(path, lo, hi, n, old) {
  if (n === hi) {
    if (lo === 0) {
      need(path.length === 0, 'path');
      return [old, old];
    }
    need(path.length === 1, 'path');
    const only = /** @type {Uint8Array} */ (path[0]);
    return [only, only];
  }
  need(path.length > 0, 'path');
  const k = below(hi - lo);
  const side = /** @type {Uint8Array} */ (path[path.length - 1]);
  const rest = path.slice(0, -1);
  if (n <= lo + k) {
    const [was, is] = await rootsOf(rest, lo, lo + k, n, old);
    return [was, await nodeHash(is, side)];
  }
  const [was, is] = await rootsOf(rest, lo + k, hi, n, old);
  return [await nodeHash(side, was), await nodeHash(side, is)];
}

/** @param {string[]} list */
const hashes = (list) => list.map((h) => /** @type {Uint8Array} */ (unbase64(h)));

/** @param {{size: number, root: string, hashes: string[]}} since @param {Checkpoint} now */
async function grew(since, now) {
  need(since.size >= 1 && since.size <= now.size, 'inconsistent');
  let roots;
  try {
    roots = await rootsOf(hashes(since.hashes), 0, now.size, since.size, /** @type {Uint8Array} */ (unbase64(since.root)));
  } catch {
    throw new Refusal('inconsistent');
  }
  need(base64(roots[0]) === since.root && base64(roots[1]) === now.root, 'inconsistent');
}

// ---- the file

const text = { is: (/** @type {any} */ v) => typeof v === 'string' };
const filled = { is: (/** @type {any} */ v) => typeof v === 'string' && v !== '', optional: true };
const whole = { is: (/** @type {any} */ v) => Number.isSafeInteger(v) && v >= 0 };
const flag = { is: (/** @type {any} */ v) => typeof v === 'boolean' };
const time = { is: isMoment };
const hash = { is: isHash };
/** @param {object} of @param {boolean} [filledOnly] */
const list = (of, filledOnly) => ({ list: of, optional: filledOnly });
const log = { checkpoint: text, since: { size: whole, root: hash, hashes: list(hash), $optional: true } };
const shape = {
  signature: text,
  evidence: {
    format: text, v: whole, made_at: time, name: text, keys: list(text), subject: filled,
    site: { id: text, name: text, controller: { name: text, contact: text } },
    logs: { proofs: log, published: log },
    proofs: list({ facts: text, index: whole, inclusion: list(hash), erased: flag, personal: filled, salt: filled, identifier: filled }),
    published: list({ entry: text, index: whole, inclusion: list(hash), doc: filled }),
    elsewhere: list({ edge: text, id: text }, true),
  },
};

/** Has v exactly these members, of these kinds? @param {any} v @param {any} want @returns {boolean} */
function fits(v, want) {
  if (want.is) return want.is(v);
  if (want.list) return Array.isArray(v) && (v.length > 0 || !want.optional) && v.every((item) => fits(item, want.list));
  if (!v || typeof v !== 'object' || Array.isArray(v)) return false;
  const names = Object.keys(want).filter((n) => n !== '$optional');
  return Object.keys(v).every((n) => names.includes(n)) &&
    names.every((n) => (n in v ? fits(v[n], want[n]) : want[n].optional || want[n].$optional));
}

/** @param {Uint8Array} bytes */
function decode(bytes) {
  let source, doc;
  try {
    source = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    doc = JSON.parse(source);
  } catch {
    throw new Refusal('not_a_file');
  }
  const e = doc?.evidence;
  need(e?.format === 'consentd-evidence' && Number.isInteger(e.v) && e.v >= 1, 'not_a_file');
  need(e.v === 1, 'newer');
  need(fits(doc, shape), 'shape');
  need(canonical(doc) === source, 'not_canonical');
  return doc;
}

/** Canonical JSON, or a refusal. @param {string} entry */
function readEntry(entry) {
  let doc;
  try {
    doc = JSON.parse(entry);
  } catch {
    throw new Refusal('entry');
  }
  need(!!doc && typeof doc === 'object' && canonical(doc) === entry, 'entry');
  return doc;
}

/** @param {any} v @param {string[]} names */
const texts = (v, ...names) => names.every((n) => typeof v[n] === 'string');
/** @param {any} v */
const isObject = (v) => typeof v === 'object' && !Array.isArray(v);
/** @param {any} f */
const isProof = (f) => texts(f, 'commitment', 'id', 'site', 'type', 'wording') && isMoment(f.recorded_at) && Number.isInteger(f.v) &&
  f.decisions !== undefined && isObject(f.decisions) && texts(f.decisions ?? {}, ...Object.keys(f.decisions ?? {}));
/** @param {any} f */
const isPublication = (f) => texts(f, 'hash', 'kind', 'locale', 'site', 'surface', 'type') && isMoment(f.published_at) && Number.isInteger(f.v) &&
  f.about !== undefined && isObject(f.about);

const slack = 60_000; // ms two requests to one edge may be dated the wrong way round

/**
 * Checks the bytes of a file against verifier keys; old is a checkpoint noted earlier, or null.
 * @param {Uint8Array} bytes @param {string[]} keyTexts @param {string | null} old
 * @returns {Promise<{steps: Step[], ok: boolean, file?: any}>}
 */
async function verifyFile(bytes, keyTexts, old) {
  /** @type {Step[]} */
  const steps = [];
  const keys = await Promise.all(keyTexts.map(parseKey));
  /** Takes one step: what does not throw passes. @param {string} part @param {string} check @param {() => any} work */
  async function step(part, check, work) {
    try {
      const data = await work();
      steps.push({ part, check, status: 'passed', data: data ?? {} });
      return data ?? true;
    } catch (err) {
      if (!(err instanceof Refusal)) throw err;
      steps.push({ part, check, status: 'refused', why: err.message });
      return undefined;
    }
  }
  /** @param {string} part @param {string} check @param {string} why */
  const skip = (part, check, why) => void steps.push({ part, check, status: 'skipped', why });
  const done = (/** @type {any} */ file) => ({ steps, file, ok: steps.every((s) => s.status !== 'refused') });

  const file = await step('file', 'readable', () => decode(bytes));
  if (!file) return done(undefined);
  const e = file.evidence;

  await step('signature', 'signed', async () => {
    const statement = `${e.name}/evidence\n${hex(await sha256(canonical(e)))}\n`;
    await openNote(`${statement}\n${file.signature}`, `${e.name}/evidence`, keys);
    return { name: e.name, at: e.made_at };
  });
  for (const [i, k] of e.keys.entries()) {
    await step(`evidence.keys[${i}]`, 'well_formed', async () => need((await parseKey(k)).name === e.name, 'key_malformed'));
  }
  /** @type {Record<string, Checkpoint | undefined>} */
  const logs = {};
  for (const name of ['proofs', 'published']) {
    const part = `evidence.logs.${name}`;
    logs[name] = await step(`${part}.checkpoint`, 'signed', async () => {
      const c = await openCheckpoint(e.logs[name].checkpoint, keys);
      const base = `${e.name}/${name}`;
      need(c.origin === base || c.origin.startsWith(base + '/'), 'other_log');
      return c;
    });
    const now = logs[name];
    if (now && e.logs[name].since) await step(`${part}.since`, 'consistent', () => grew(e.logs[name].since, now));
  }

  /** @param {string} part @param {Checkpoint | undefined} c @param {any} item @param {string} entry */
  async function included(part, c, item, entry) {
    if (!c) return skip(part, 'in_log', 'no_checkpoint');
    return step(part, 'in_log', async () => {
      let root;
      try {
        need(item.index < c.size, 'not_in_log');
        root = await rootOf(hashes(item.inclusion), item.index, c.size, await leafHash(entry));
      } catch {
        throw new Refusal('not_in_log');
      }
      need(base64(root) === c.root, 'not_in_log');
      return { index: item.index, origin: c.origin };
    });
  }
  /** @param {any} facts @param {string} type */
  function belongs(facts, type) {
    need(type === 'consent' ? isProof(facts) : isPublication(facts), 'entry');
    need(facts.type === type && facts.v === 1, 'entry');
    need(facts.site === e.site.id, 'other_site');
    return facts;
  }

  const wordings = new Map();
  /** @type {{at: number, wordings: string[]}[]} */
  const bundles = [];
  for (const [i, p] of e.published.entries()) {
    const part = `evidence.published[${i}]`;
    const facts = await step(`${part}.entry`, 'well_formed', () => belongs(readEntry(p.entry), 'publication'));
    const inLog = await included(`${part}.inclusion`, logs['published'], p, p.entry);
    if (!p.doc || !facts) continue;
    await step(`${part}.doc`, 'hashes', async () => {
      const sum = hex(await sha256(p.doc));
      if (facts.kind === 'wording') {
        need(sum === facts.hash, 'other_text');
        const doc = JSON.parse(p.doc);
        need(doc.v === 1 && doc.site === facts.site && doc.surface === facts.surface && doc.locale === facts.locale, 'other_text');
        if (inLog) wordings.set(facts.hash, { at: Date.parse(facts.published_at), doc });
      } else {
        need(facts.kind === 'bundle' && sum === facts.about?.wordings, 'other_text');
        if (inLog) bundles.push({ at: Date.parse(facts.published_at), wordings: JSON.parse(p.doc) });
      }
    });
  }

  for (const [i, p] of e.proofs.entries()) {
    const part = `evidence.proofs[${i}]`;
    const facts = await step(`${part}.facts`, 'well_formed', () => belongs(readEntry(p.facts), 'consent'));
    await included(`${part}.inclusion`, logs['proofs'], p, p.facts);
    if (!facts) continue;
    if (p.erased && !p.personal && !p.salt && !p.identifier) {
      skip(`${part}.personal`, 'opens', 'erased');
    } else {
      const opened = await step(`${part}.personal`, 'opens', async () => {
        const salt = unhex(p.salt ?? '');
        need(!p.erased && !!salt, 'other_person');
        need(hex(await sha256(join(/** @type {Uint8Array} */ (salt), encoder.encode(p.personal ?? '')))) === facts.commitment, 'other_person');
      });
      if (opened && p.identifier) skip(`${part}.identifier`, 'known', 'word_of_server');
    }
    if (!facts.wording) {
      skip(`${part}.wording`, 'shown', 'no_text');
      continue;
    }
    const shown = await step(`${part}.wording`, 'shown', () => {
      const w = wordings.get(facts.wording);
      need(!!w, 'no_such_text');
      need(w.at <= Date.parse(facts.recorded_at) + slack, 'published_later');
      need(Object.keys(facts.decisions ?? {}).every((id) => w.doc.purposes.some((/** @type {any} */ q) => q.id === id)), 'other_purposes');
      return { title: w.doc.title };
    });
    if (!shown) continue;
    if (bundles.some((b) => b.at <= Date.parse(facts.recorded_at) + slack && b.wordings.includes(facts.wording))) {
      await step(`${part}.wording`, 'carried', () => undefined);
    } else {
      skip(`${part}.wording`, 'carried', 'no_script');
    }
  }
  if (old !== null) await earlier(old);
  return done(file);

  /** @param {string} note */
  async function earlier(note) {
    const c = /** @type {Checkpoint | undefined} */ (await step('checkpoint', 'signed', () => openCheckpoint(note, keys)));
    if (!c) return;
    for (const name of ['proofs', 'published']) {
      const now = logs[name];
      if (now?.origin === c.origin) return grown(c, now, e.logs[name].since);
      if (now?.succeeds?.origin === c.origin) {
        if (now.succeeds.size !== c.size || now.succeeds.root !== c.root) return skip('checkpoint', 'consistent', 'went_on');
        return step('checkpoint', 'consistent', () => undefined);
      }
    }
    return step('checkpoint', 'consistent', () => need(false, 'other_log'));
  }
  /** @param {Checkpoint} c @param {Checkpoint} now @param {any} since */
  function grown(c, now, since) {
    if (c.size === now.size || c.size === 0) return step('checkpoint', 'consistent', () => need(c.size === 0 || c.root === now.root, 'inconsistent'));
    if (c.size > now.size) return skip('checkpoint', 'consistent', 'later');
    if (since?.size !== c.size) return skip('checkpoint', 'consistent', 'no_since');
    return step('checkpoint', 'consistent', () => (need(since.root === c.root, 'inconsistent'), grew(since, now)));
  }
}

// ---- the page

const words = {
  en: {
    title: 'Verify evidence of consent',
    lead: 'Everything is computed in this browser. The file goes nowhere: this page cannot load or send anything.',
    file: 'Evidence file', file_help: 'A .json file, as consentd wrote it, unchanged.',
    key: 'Verifier key', key_help: 'One line, name+hash+letters. Take it from where you noted it, not from where the file came from.',
    more: 'I noted a checkpoint earlier', checkpoint: 'Checkpoint', checkpoint_help: 'The whole note, with its signature line. The file has to agree with it.',
    go: 'Verify', working: 'Computing…', choose: 'Choose an evidence file first.', name_key: 'Give the verifier key first.',
    old_browser: 'This browser cannot check Ed25519 signatures here. Take a current one, or save this page and open it from your disk; the program consentd verify works everywhere.',
    yes: 'The evidence holds', yes_more: 'Everything that could be checked was checked, and nothing was found wrong.',
    no: 'The evidence is refused', no_more: 'At least one part does not hold. It is named below.',
    gaps: 'What could not be checked is listed below.', choice: 'Choice', of: 'of', when: 'Recorded', site: 'Site', surface: 'Shown in', text: 'Text',
    granted: 'consent given', denied: 'refused', erased_short: 'The person was erased; the choice stands.', steps: 'Every check', listed: 'Checks that were refused or could not be made',
    passed: 'Passed', refused: 'Refused', skipped: 'Not checked',
    checks: {
      readable: 'The file can be read, and is in its one form.', signed: 'The signature holds.', well_formed: 'The part is well formed.', consistent: 'The log only grew.',
      in_log: 'The entry is in the log.', hashes: 'The document is the one that was published.', opens: 'The personal part is the one recorded.', known: 'The address belongs to the person.',
      shown: 'The text asks what was decided.', carried: 'A published script carried the text.',
    },
    why: {
      not_a_file: 'This is not an evidence file, or it is damaged.', newer: 'The file was made by a newer consentd; take a newer page.', shape: 'It has members nobody knows, or lacks some.',
      not_canonical: 'Its bytes were changed after it was written.', note: 'The signature does not hold.', unknown_key: 'It is signed by another key than the one given.',
      key_malformed: 'This is not a verifier key.', key_kind: 'This verifier key is of another kind than Ed25519.', key_private: 'This is a private key. Verifying takes the public one, and nobody else should see this.',
      checkpoint: 'This is not a checkpoint of a consentd log.', other_log: 'It is of another log.', inconsistent: 'The log was changed, not only added to.', no_checkpoint: 'There is no checkpoint that holds.',
      not_in_log: 'These bytes are not that entry of the log.', entry: 'The entry is not what an entry of this log is.', other_site: 'The entry is of another site.', other_text: 'It is not what was published under this hash.',
      other_person: 'It is not what the choice was recorded with.', erased: 'Erased: nothing in the file says who the person was.', word_of_server: 'Only the server knows the secret behind the subject key; this is its word.',
      no_text: 'No text was shown: a program or a signal of the browser recorded the choice.', no_such_text: 'The file holds no such text that checks out.', published_later: 'The text was published only after the choice.',
      other_purposes: 'The text does not ask about a purpose that was decided.', no_script: 'The file names no script that carried this text.', later: 'The checkpoint is later than the file; ask for the file again.',
      no_since: 'The file does not show how the log grew from there; ask for it again with ?since= and the size of the checkpoint.', went_on: 'The log went on from another checkpoint under a new origin.',
    },
  },
  fr: {
    title: 'Vérifier une preuve de consentement',
    lead: 'Tout se calcule dans ce navigateur. Le fichier ne va nulle part : cette page ne peut rien charger ni rien envoyer.',
    file: 'Fichier de preuve', file_help: 'Un fichier .json tel que consentd l’a écrit, inchangé.',
    key: 'Clé de vérification', key_help: 'Une ligne : nom+empreinte+lettres. Prenez-la là où vous l’aviez notée, pas d’où vient le fichier.',
    more: 'J’avais noté un point de contrôle', checkpoint: 'Point de contrôle', checkpoint_help: 'La note entière, avec sa ligne de signature. Le fichier doit s’accorder avec elle.',
    go: 'Vérifier', working: 'Calcul…', choose: 'Choisissez d’abord un fichier de preuve.', name_key: 'Donnez d’abord la clé de vérification.',
    old_browser: 'Ce navigateur ne sait pas vérifier ici les signatures Ed25519. Prenez-en un récent, ou enregistrez cette page et ouvrez-la depuis votre disque ; le programme consentd verify marche partout.',
    yes: 'La preuve tient', yes_more: 'Tout ce qui pouvait être vérifié l’a été, et rien n’est faux.',
    no: 'La preuve est refusée', no_more: 'Une partie au moins ne tient pas. Elle est nommée ci-dessous.',
    gaps: 'Ce qui n’a pas pu être vérifié figure ci-dessous.', choice: 'Choix', of: 'sur', when: 'Enregistré', site: 'Site', surface: 'Présenté dans', text: 'Texte',
    granted: 'consentement donné', denied: 'refusé', erased_short: 'La personne a été effacée ; le choix demeure.', steps: 'Toutes les vérifications', listed: 'Vérifications refusées ou impossibles',
    passed: 'Vérifié', refused: 'Refusé', skipped: 'Non vérifié',
    checks: {
      readable: 'Le fichier se lit, et n’a qu’une forme.', signed: 'La signature tient.', well_formed: 'La partie est bien formée.', consistent: 'Le journal n’a fait que grandir.',
      in_log: 'L’entrée est dans le journal.', hashes: 'Le document est celui qui fut publié.', opens: 'La partie personnelle est celle enregistrée.', known: 'L’adresse est celle de la personne.',
      shown: 'Le texte demande ce qui fut décidé.', carried: 'Un script publié portait ce texte.',
    },
    why: {
      not_a_file: 'Ce n’est pas un fichier de preuve, ou il est abîmé.', newer: 'Le fichier vient d’un consentd plus récent ; prenez une page plus récente.', shape: 'Il a des membres inconnus, ou il lui en manque.',
      not_canonical: 'Ses octets ont été changés après coup.', note: 'La signature ne tient pas.', unknown_key: 'Il est signé par une autre clé que celle donnée.',
      key_malformed: 'Ce n’est pas une clé de vérification.', key_kind: 'Cette clé de vérification n’est pas du type Ed25519.', key_private: 'Ceci est une clé privée. Il faut la clé publique pour vérifier, et personne d’autre ne devrait voir celle-ci.',
      checkpoint: 'Ce n’est pas un point de contrôle d’un journal consentd.', other_log: 'Il est d’un autre journal.', inconsistent: 'Le journal a été modifié, et non seulement complété.', no_checkpoint: 'Aucun point de contrôle ne tient.',
      not_in_log: 'Ces octets ne sont pas cette entrée du journal.', entry: 'L’entrée n’est pas une entrée de ce journal.', other_site: 'L’entrée est d’un autre site.', other_text: 'Ce n’est pas ce qui fut publié sous cette empreinte.',
      other_person: 'Ce n’est pas ce avec quoi le choix fut enregistré.', erased: 'Effacé : rien dans le fichier ne dit qui était la personne.', word_of_server: 'Seul le serveur connaît le secret de la clé de la personne ; c’est sa parole.',
      no_text: 'Aucun texte ne fut présenté : un programme ou un signal du navigateur a enregistré le choix.', no_such_text: 'Le fichier ne contient pas ce texte sous une forme qui tienne.', published_later: 'Le texte ne fut publié qu’après le choix.',
      other_purposes: 'Le texte ne demande rien sur une finalité décidée.', no_script: 'Le fichier ne nomme aucun script portant ce texte.', later: 'Le point de contrôle est postérieur au fichier ; redemandez le fichier.',
      no_since: 'Le fichier ne montre pas comment le journal a grandi depuis ; redemandez-le avec ?since= et la taille du point de contrôle.', went_on: 'Le journal a repris d’un autre point de contrôle sous une nouvelle origine.',
    },
  },
};

/** @typedef {typeof words.en} Words */

/** @param {string} tag @param {Record<string, string>} [attributes] @param {(Node | string)[]} children */
function element(tag, attributes, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) el.setAttribute(name, value);
  el.append(...children);
  return el;
}

/** @param {string} id @returns {any} */
const byId = (id) => document.getElementById(id);

/** @returns {Words} */
const speak = () => words[/** @type {'en' | 'fr'} */ (document.documentElement.lang)];

/** What is shown as the outcome now, to be shown again in another language. @type {() => Node[]} */
let outcome = () => [];

/** @param {() => Node[]} render */
function show(render) {
  outcome = render;
  byId('outcome').replaceChildren(...render());
}

/** @param {string} lang */
function translate(lang) {
  document.documentElement.lang = lang;
  const w = /** @type {Record<string, any>} */ (speak());
  document.title = w['title'];
  for (const el of document.querySelectorAll('[data-t]')) el.textContent = w[/** @type {HTMLElement} */ (el).dataset['t'] ?? ''];
  for (const b of document.querySelectorAll('[data-language]')) b.setAttribute('aria-pressed', String(/** @type {HTMLElement} */ (b).dataset['language'] === lang));
  byId('outcome').replaceChildren(...outcome());
}

/** @param {boolean} good @param {string} title @param {string} more @param {string} [gaps] */
function verdict(good, title, more, gaps) {
  return element('div', { class: `verdict ${good ? 'yes' : 'no'}` }, element('h2', {}, title), element('p', {}, more), ...(gaps ? [element('p', {}, gaps)] : []));
}

/** @param {[string, string][]} pairs */
function pairs(...pairs) {
  return element('dl', {}, ...pairs.filter(([, v]) => v).map(([k, v]) => element('div', {}, element('dt', {}, k), element('dd', {}, v))));
}

/** What the proofs of an accepted file say. @param {any} e @param {Words} w */
function choices(e, w) {
  const titles = new Map();
  for (const p of e.published) {
    const facts = JSON.parse(p.entry);
    if (facts.kind === 'wording' && p.doc) titles.set(facts.hash, JSON.parse(p.doc));
  }
  return e.proofs.flatMap((/** @type {any} */ p, /** @type {number} */ i) => {
    const f = JSON.parse(p.facts);
    const doc = titles.get(f.wording);
    const lines = Object.entries(f.decisions).map(([id, d]) => /** @type {[string, string]} */ ([
      doc?.purposes.find((/** @type {any} */ q) => q.id === id)?.title ?? id, d === 'granted' ? w.granted : w.denied,
    ]));
    const heading = e.proofs.length > 1 ? `${w.choice} ${i + 1} ${w.of} ${e.proofs.length}` : w.choice;
    return [element('h3', {}, heading),
      pairs(...lines, [w.when, new Date(f.recorded_at).toLocaleString(document.documentElement.lang, { dateStyle: 'long', timeStyle: 'long', timeZone: 'UTC', hourCycle: 'h23' })],
        [w.site, `${e.site.name} (${e.site.id})`], [w.surface, f.surface], [w.text, doc ? `${doc.title}` : '']),
      ...(p.erased ? [element('p', { class: 'note' }, w.erased_short)] : [])];
  });
}

/** @param {Step[]} steps @param {Words} w */
function listOf(steps, w) {
  return element('ul', { class: 'steps' }, ...steps.map((s) => element('li', { class: s.status },
    element('b', {}, w[s.status]), ` ${/** @type {any} */ (s.why ? w.why : w.checks)[s.why ?? s.check]}`, element('code', {}, s.part))));
}

/** @param {{steps: Step[], ok: boolean, file?: any}} r */
const report = (r) => () => {
  const w = speak();
  const open = r.steps.filter((s) => s.status !== 'passed');
  const gaps = r.steps.some((s) => s.status === 'skipped') ? w.gaps : undefined;
  return [r.ok ? verdict(true, w.yes, w.yes_more, gaps) : verdict(false, w.no, w.no_more),
    ...(r.ok ? choices(r.file.evidence, w) : []),
    ...(open.length ? [element('h3', {}, w.listed), listOf(open, w)] : []),
    element('details', {}, element('summary', {}, `${w.steps} (${r.steps.length})`), listOf(r.steps, w))];
};

/** @param {string} code of words, or of words.why */
const complaint = (code) => () => {
  const w = /** @type {any} */ (speak());
  return [element('p', { class: 'note' }, w[code] ?? w.why[code])];
};

async function submit() {
  const file = byId('file').files[0];
  const key = byId('key').value.trim();
  const old = byId('checkpoint').value;
  if (!file) return show(complaint('choose'));
  if (!key) return show(complaint('name_key'));
  if (!globalThis.crypto?.subtle) return show(complaint('old_browser'));
  show(complaint('working'));
  try {
    const bytes = new Uint8Array(await file.arrayBuffer());
    const note = old.trim() ? `${old.replace(/\r\n/g, '\n').trim()}\n` : null;
    show(report(await verifyFile(bytes, key.split(/\s+/), note)));
  } catch (err) {
    show(complaint(err instanceof Refusal ? err.message : 'old_browser'));
  }
  byId('outcome').focus();
}

byId('ask').addEventListener('submit', (/** @type {Event} */ ev) => {
  ev.preventDefault();
  void submit();
});
for (const b of document.querySelectorAll('[data-language]')) b.addEventListener('click', () => translate(/** @type {HTMLElement} */ (b).dataset['language'] ?? 'en'));
translate(navigator.languages.some((l) => /^(fr|en)\b/i.test(l)) && /^fr\b/i.test(navigator.languages.find((l) => /^(fr|en)\b/i.test(l)) ?? '') ? 'fr' : 'en');
