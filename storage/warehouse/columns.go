package warehouse

import (
	"net/netip"

	"github.com/consentd/consentd/storage/consent"
	"github.com/google/uuid"
)

// words collects a LowCardinality column. Each distinct text is boxed once: the driver takes []any without
// allocating, and a batch repeats its few words thousands of times.
type words struct {
	rows  []any
	boxed map[string]any
}

func newWords(n int) *words { return &words{rows: make([]any, 0, n), boxed: map[string]any{}} }

func (w *words) add(s string) {
	v, ok := w.boxed[s]
	if !ok {
		v = s
		w.boxed[s] = v
	}
	w.rows = append(w.rows, v)
}

// addBytes is add without a string made first.
func (w *words) addBytes(b []byte) {
	v, ok := w.boxed[string(b)]
	if !ok {
		s := string(b)
		v = s
		w.boxed[s] = v
	}
	w.rows = append(w.rows, v)
}

// hashes is a LowCardinality column of hashes in hex; consecutive rows mostly share one.
type hashes struct {
	rows  []any
	boxed map[consent.Hash]any
}

func newHashes(n int) *hashes { return &hashes{rows: make([]any, 0, n), boxed: map[consent.Hash]any{}} }

func (h *hashes) add(v consent.Hash) {
	s, ok := h.boxed[v]
	if !ok {
		s = v.String()
		h.boxed[v] = s
	}
	h.rows = append(h.rows, s)
}

// places are the columns that say where rows stand. All rows of an insert are of one edge and generation.
type places struct {
	from       consent.Place
	edge       []any
	generation []uint32
	seq        []uint64
	name       any // from.Edge, boxed once
}

func newPlaces(from consent.Place, n int) *places {
	return &places{from, make([]any, 0, n), make([]uint32, 0, n), make([]uint64, 0, n), from.Edge}
}

// add is the place of row i of the batch.
func (p *places) add(i int) {
	p.edge, p.generation, p.seq = append(p.edge, p.name), append(p.generation, p.from.Generation), append(p.seq, p.from.Seq+uint64(i))
}

// columns are the values of one insert, in the order of its column list.
type columns []any

const factsInto = `INSERT INTO consent_facts (site, recorded_at, logical, edge, generation, seq, id, surface, method, locale, country, device,
	wording, decisions, grade, prompt, follows, commitment)`

func factsColumns(from consent.Place, proofs []*consent.Proof) columns {
	n := len(proofs)
	at, logical, places := make([]int64, n), make([]uint32, n), newPlaces(from, n)
	ids, prompts, follows := make([]uuid.UUID, n), make([]uuid.UUID, n), make([]uuid.UUID, n)
	grades, commitments := make([]int8, n), make([][]byte, n)
	site, surface, method, locale := newWords(n), newWords(n), newWords(n), newWords(n)
	country, device, decisions, wording := newWords(n), newWords(n), newWords(n), newHashes(n)
	var room []byte
	for i, p := range proofs {
		at[i], logical[i], ids[i], prompts[i], follows[i] = int64(p.RecordedAt), p.Logical, p.ID, p.Prompt, p.Follows
		places.add(i)
		grades[i], commitments[i] = int8(p.Grade), p.Commitment[:]
		site.add(p.Site)
		surface.add(p.Surface)
		method.add(string(p.Method))
		locale.add(p.Locale)
		country.add(p.Country)
		device.add(string(p.Device))
		wording.add(p.Wording)
		room = consent.AppendDecisions(room[:0], p.Decisions)
		decisions.addBytes(room)
	}
	return columns{site.rows, at, logical, places.edge, places.generation, places.seq, ids, surface.rows, method.rows, locale.rows, country.rows, device.rows,
		wording.rows, decisions.rows, grades, prompts, follows, commitments}
}

const personalInto = `INSERT INTO consent_personal (site, subject, recorded_at, edge, generation, seq, subject_kind, device, ip,
	user_agent, page, identifier, salt)`

// kept counts the proofs whose personal part is not erased: the others have no row there.
func kept(proofs []*consent.Proof) (n int) {
	for _, p := range proofs {
		if !p.Erased() {
			n++
		}
	}
	return n
}

func personalColumns(from consent.Place, proofs []*consent.Proof) columns {
	n := kept(proofs)
	at, places, ips := make([]int64, 0, n), newPlaces(from, n), make([]netip.Addr, 0, n)
	subjects, identifiers, salts := make([][]byte, 0, n), make([][]byte, 0, n), make([][]byte, 0, n)
	site, kind, agent, page := newWords(n), newWords(n), newWords(n), newWords(n)
	devices := make([][]byte, 0, n)
	for i, p := range proofs {
		if p.Erased() {
			continue
		}
		m := &p.Personal
		places.add(i)
		at, ips = append(at, int64(p.RecordedAt)), append(ips, m.IP)
		subjects, identifiers, salts = append(subjects, m.Subject[:]), append(identifiers, m.Identifier), append(salts, m.Salt[:])
		site.add(p.Site)
		kind.add(string(m.Kind))
		agent.add(m.UserAgent)
		page.add(m.Page)
		devices = append(devices, m.Device[:])
	}
	return columns{site.rows, subjects, at, places.edge, places.generation, places.seq, kind.rows, devices, ips, agent.rows, page.rows, identifiers, salts}
}

const promptsInto = `INSERT INTO prompts (site, shown_at, edge, generation, seq, id, surface, locale, country, device, wording, page)`

func promptsColumns(from consent.Place, prompts []*consent.Prompt) columns {
	n := len(prompts)
	at, places, ids := make([]int64, n), newPlaces(from, n), make([]uuid.UUID, n)
	site, surface, locale := newWords(n), newWords(n), newWords(n)
	country, device, page, wording := newWords(n), newWords(n), newWords(n), newHashes(n)
	for i, p := range prompts {
		at[i], ids[i] = int64(p.ShownAt), p.ID
		places.add(i)
		site.add(p.Site)
		surface.add(p.Surface)
		locale.add(p.Locale)
		country.add(p.Country)
		device.add(string(p.Device))
		wording.add(p.Wording)
		page.add(p.Page)
	}
	return columns{site.rows, at, places.edge, places.generation, places.seq, ids, surface.rows, locale.rows, country.rows, device.rows, wording.rows, page.rows}
}

const wordingsInto = `INSERT INTO wordings (site, hash, surface, locale, asked, doc, published_at)`

func wordingsColumns(pubs []*consent.Publication) columns {
	n := len(pubs)
	site, surface, locale := newWords(n), newWords(n), newWords(n)
	hash, doc, asked, at := make([]string, n), make([]string, n), make([][]string, n), make([]int64, n)
	for i, p := range pubs {
		site.add(p.Site)
		surface.add(p.Surface)
		locale.add(p.Locale)
		hash[i], doc[i], asked[i], at[i] = p.Hash.String(), string(p.Doc), askedBy(p.Doc), int64(p.PublishedAt)
	}
	return columns{site.rows, hash, surface.rows, locale.rows, asked, doc, at}
}

// askedBy lists the purposes a wording decides on. A document this version cannot read asks nothing: it is
// kept all the same, and only its prompts are missing from rates by purpose.
func askedBy(doc []byte) []string {
	w, err := consent.ParseWording(doc)
	if err != nil {
		return nil
	}
	return w.Asked()
}
