package warehouse

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/consentd/consentd/storage/consent"
	"github.com/google/uuid"
)

// Recorded is a proof as the warehouse holds it.
type Recorded struct {
	consent.Proof
	Generation uint32 // of the edge's log
	Seq        uint64
	Erased     bool // the personal part is gone; Personal is zero
}

// Position is a place in the order of proofs, for paging: the last row of a page is where the next begins.
// The zero Position is the newest end.
type Position struct {
	At consent.Millis
	consent.Place
}

// Position of r.
func (r *Recorded) Position() Position {
	return Position{r.RecordedAt, consent.Place{Edge: r.Edge, Generation: r.Generation, Seq: r.Seq}}
}

// MaxHistory is the most rows of one History page.
const MaxHistory = 1000

const proofColumns = `f.id, f.site, f.edge, f.generation, f.seq, toUnixTimestamp64Milli(f.recorded_at), f.logical, f.surface, f.method, f.locale, f.country,
	f.device, f.wording, f.decisions, toUInt8(f.grade), f.prompt, f.follows, f.commitment`

const ofSubject = `site = {site:String} AND subject = unhex({key:String})`

const personalColumnsOf = `p.subject, p.subject_kind, p.device, p.ip, p.user_agent, p.page, p.identifier, p.salt`

// History lists the proofs of one subject, newest first, after before, at most limit (1 to MaxHistory) of
// them. A proof that was recorded several times is listed once, as it was recorded first. Erased proofs no longer
// belong to a subject.
func (w *Warehouse) History(ctx context.Context, site string, key consent.SubjectKey, before Position, limit int) ([]Recorded, error) {
	if limit < 1 || limit > MaxHistory {
		return nil, fmt.Errorf("%w: limit is 1 to %d", ErrQuery, MaxHistory)
	}
	after := ""
	if before != (Position{}) {
		after = " AND (recorded_at, edge, generation, seq) < (fromUnixTimestamp64Milli({at:Int64}, 'UTC'), {edge:String}, {generation:UInt32}, {seq:UInt64})"
	}
	// The page is found by the primary key of the personal table, its facts by theirs.
	query := `WITH page AS (SELECT * FROM consent_personal WHERE ` + ofSubject + after + `
			AND (recorded_at, edge, generation, seq) NOT IN (SELECT recorded_at, edge, generation, seq FROM consent_repeats
				WHERE site = {site:String} AND (recorded_at, edge, generation, seq) IN (SELECT recorded_at, edge, generation, seq FROM consent_personal WHERE ` + ofSubject + `))
			ORDER BY recorded_at DESC, edge DESC, generation DESC, seq DESC LIMIT 1 BY recorded_at, edge, generation, seq LIMIT {limit:UInt64})
		SELECT ` + proofColumns + `, toUInt8(1), ` + personalColumnsOf + ` FROM page AS p
		INNER JOIN (SELECT * FROM consent_facts
			WHERE site = {site:String} AND (recorded_at, edge, generation, seq) IN (SELECT recorded_at, edge, generation, seq FROM page)
			LIMIT 1 BY recorded_at, edge, generation, seq) AS f
		ON f.recorded_at = p.recorded_at AND f.edge = p.edge AND f.generation = p.generation AND f.seq = p.seq
		ORDER BY f.recorded_at DESC, f.edge DESC, f.generation DESC, f.seq DESC`
	return w.recorded(ctx, query, clickhouse.Named("site", site), clickhouse.Named("key", key.String()), clickhouse.Named("limit", uint64(limit)),
		clickhouse.Named("at", int64(before.At)), clickhouse.Named("edge", before.Edge),
		clickhouse.Named("generation", before.Generation), clickhouse.Named("seq", before.Seq))
}

// Proof finds one proof by id, or ErrNotFound: as it was recorded first, if it was several times.
//
// A proof id carries its client's time, mostly the minute it was recorded in: that window is looked at
// first, by primary key, and everything else only when the clock was wrong.
func (w *Warehouse) Proof(ctx context.Context, site string, id uuid.UUID) (*Recorded, error) {
	near := consent.IDTime(id)
	for _, window := range []string{"AND f.recorded_at BETWEEN fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND fromUnixTimestamp64Milli({to:Int64}, 'UTC')", ""} {
		query := `SELECT ` + proofColumns + `, p.kept, ` + personalColumnsOf + `
			FROM (SELECT * FROM consent_facts AS f WHERE f.site = {site:String} AND f.id = {id:UUID} ` + window + ` ORDER BY recorded_at, edge, generation, seq LIMIT 1) AS f
			LEFT JOIN (SELECT *, toUInt8(1) AS kept FROM consent_personal WHERE site = {site:String} AND (recorded_at, edge, generation, seq) IN
				(SELECT recorded_at, edge, generation, seq FROM consent_facts AS f WHERE f.site = {site:String} AND f.id = {id:UUID} ` + window + ` ORDER BY recorded_at, edge, generation, seq LIMIT 1)
				LIMIT 1) AS p
			ON f.recorded_at = p.recorded_at AND f.edge = p.edge AND f.generation = p.generation AND f.seq = p.seq`
		all, err := w.recorded(ctx, query, clickhouse.Named("site", site), clickhouse.Named("id", id.String()),
			clickhouse.Named("from", clampMillis(near-consent.Millis(time.Hour.Milliseconds()))),
			clickhouse.Named("to", clampMillis(near+consent.Millis((48*time.Hour).Milliseconds()))))
		if err != nil {
			return nil, err
		}
		if len(all) > 0 {
			return &all[0], nil
		}
	}
	return nil, ErrNotFound
}

// clampMillis keeps a client's idea of time within what DateTime64 holds.
func clampMillis(at consent.Millis) int64 {
	return min(max(int64(at), 0), time.Date(2290, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli())
}

func (w *Warehouse) recorded(ctx context.Context, query string, args ...any) ([]Recorded, error) {
	ctx, cancel := context.WithTimeout(ctx, w.opt.Timeout)
	defer cancel()
	rows, err := w.conn.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("asking for proofs: %w", err)
	}
	defer rows.Close()
	var all []Recorded
	for rows.Next() {
		r, err := scanRecorded(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("reading proofs: %w", err)
		}
		all = append(all, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading proofs: %w", err)
	}
	return all, nil
}

func scanRecorded(scan func(...any) error) (Recorded, error) {
	var (
		r                                  Recorded
		at                                 int64
		method, device, wording, decisions string
		grade, kept                        uint8
		commitment, subject, linked, salt  string
		kind, identifier                   string
		ip                                 netip.Addr
	)
	m := &r.Personal
	err := scan(&r.ID, &r.Site, &r.Edge, &r.Generation, &r.Seq, &at, &r.Logical, &r.Surface, &method, &r.Locale, &r.Country, &device, &wording, &decisions, &grade,
		&r.Prompt, &r.Follows, &commitment, &kept, &subject, &kind, &linked, &ip, &m.UserAgent, &m.Page, &identifier, &salt)
	if err != nil {
		return r, err
	}
	r.RecordedAt, r.Method, r.Device, r.Grade = consent.Millis(at), consent.Method(method), consent.DeviceClass(device), consent.Grade(grade)
	copy(r.Commitment[:], commitment)
	if wording != "" {
		if r.Wording, err = consent.ParseHash(wording); err != nil {
			return r, err
		}
	}
	if r.Decisions, err = parseDecisions(decisions); err != nil {
		return r, err
	}
	if r.Erased = kept == 0; r.Erased {
		r.Personal = consent.Personal{}
		return r, nil
	}
	copy(m.Subject[:], subject)
	copy(m.Device[:], linked)
	copy(m.Salt[:], salt)
	m.Kind = consent.Kind(kind)
	if ip != netip.IPv6Unspecified() {
		m.IP = ip.Unmap()
	}
	if identifier != "" {
		m.Identifier = []byte(identifier)
	}
	return r, nil
}

// parseDecisions reads what consent.AppendDecisions wrote.
func parseDecisions(s string) ([]consent.Choice, error) {
	var m map[string]string
	if err := json.Unmarshal([]byte(s), &m); err != nil {
		return nil, fmt.Errorf("decisions: %w", err)
	}
	all := make([]consent.Choice, 0, len(m))
	for purpose, d := range m {
		all = append(all, consent.Choice{Purpose: purpose, Granted: d == "granted"})
	}
	slices.SortFunc(all, func(a, b consent.Choice) int { return cmp.Compare(a.Purpose, b.Purpose) })
	return all, nil
}
