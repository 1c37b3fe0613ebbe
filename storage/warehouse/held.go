package warehouse

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/consentd/consentd/storage/consent"
)

// Held counts, for each bucket of consent.HeldBucket neighbouring seqs, how many different ones of r the warehouse has of
// a stream; those in without are not counted. A bucket it has nothing of is missing from the answer. It is exact
// whatever was sent twice: a bucket is counted as a bitmap, 8 KB each.
//
// StreamWordings has no seqs here: see Published.
func (w *Warehouse) Held(ctx context.Context, s consent.Stream, r consent.Rows, without []uint64) (map[uint64]consent.Held, error) {
	held := map[uint64]consent.Held{}
	if s == consent.StreamPrompts {
		return held, w.held(ctx, "prompts", r, without, func(bucket, n uint64) { held[bucket] = consent.Held{Rows: n} })
	}
	if err := w.held(ctx, "consent_facts", r, without, func(bucket, n uint64) { held[bucket] = consent.Held{Rows: n} }); err != nil {
		return nil, err
	}
	return held, w.held(ctx, "consent_personal", r, without, func(bucket, n uint64) {
		held[bucket] = consent.Held{Rows: held[bucket].Rows, Personal: n}
	})
}

const ofRows = ` WHERE edge = {edge:String} AND generation = {generation:UInt32} AND seq >= {first:UInt64} AND seq < {end:UInt64}`

func named(r consent.Rows) []any {
	return []any{clickhouse.Named("edge", r.Edge), clickhouse.Named("generation", r.Generation), clickhouse.Named("first", r.First), clickhouse.Named("end", r.End)}
}

func (w *Warehouse) held(ctx context.Context, table string, r consent.Rows, without []uint64, each func(bucket, n uint64)) error {
	ctx, cancel := context.WithTimeout(ctx, w.opt.Timeout)
	defer cancel()
	except := ""
	for i, seq := range without {
		except += map[bool]string{true: " AND seq NOT IN (", false: ","}[i == 0] + fmt.Sprint(seq)
	}
	if except != "" {
		except += ")"
	}
	query := fmt.Sprintf("SELECT intDiv(seq, %d) AS bucket, toUInt64(groupBitmap(toUInt32(seq %% %d))) FROM %s%s%s GROUP BY bucket",
		consent.HeldBucket, consent.HeldBucket, table, ofRows, except)
	rows, err := w.conn.Query(ctx, query, named(r)...)
	if err != nil {
		return asked("what "+table+" holds", err)
	}
	defer rows.Close()
	for rows.Next() {
		var bucket, n uint64
		if err := rows.Scan(&bucket, &n); err != nil {
			return asked("what "+table+" holds", err)
		}
		each(bucket, n)
	}
	if err := rows.Err(); err != nil {
		return asked("what "+table+" holds", err)
	}
	return nil
}

// Highest is the seq after the highest the warehouse has of a stream of an edge in a generation; 0: it has none.
func (w *Warehouse) Highest(ctx context.Context, s consent.Stream, edge string, generation uint32) (next uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, w.opt.Timeout)
	defer cancel()
	table := "consent_facts"
	if s == consent.StreamPrompts {
		table = "prompts"
	}
	err = w.conn.QueryRow(ctx, "SELECT if(count() = 0, 0, max(seq) + 1) FROM "+table+" WHERE edge = {edge:String} AND generation = {generation:UInt32}",
		clickhouse.Named("edge", edge), clickhouse.Named("generation", generation)).Scan(&next)
	if err != nil {
		return 0, asked("for the newest row of "+table, err)
	}
	return next, nil
}

// ErasedHere lists the seqs of r whose personal part was erased by Erase, whichever edge asked for it: who holds one must
// not send it again.
func (w *Warehouse) ErasedHere(ctx context.Context, r consent.Rows) (map[uint64]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, w.opt.Timeout)
	defer cancel()
	rows, err := w.conn.Query(ctx, "SELECT DISTINCT seq FROM erasures"+ofRows, named(r)...)
	if err != nil {
		return nil, asked("what was erased", err)
	}
	defer rows.Close()
	erased := map[uint64]bool{}
	for rows.Next() {
		var seq uint64
		if err := rows.Scan(&seq); err != nil {
			return nil, asked("what was erased", err)
		}
		erased[seq] = true
	}
	if err := rows.Err(); err != nil {
		return nil, asked("what was erased", err)
	}
	return erased, nil
}

// Published gives a function that says of a publication whether the warehouse has it. They are few: all of them are read.
func (w *Warehouse) Published(ctx context.Context) (has func(*consent.Publication) bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, w.opt.Timeout)
	defer cancel()
	held := map[publicationKey]bool{}
	rows, err := w.conn.Query(ctx, `SELECT site, '' AS kind, toInt64(0), hash, '', '', '' FROM wordings GROUP BY site, hash
		UNION ALL SELECT DISTINCT site, kind, toUnixTimestamp64Milli(published_at), hash, locale, surface, about FROM publications`)
	if err != nil {
		return nil, asked("what was published", err)
	}
	defer rows.Close()
	for rows.Next() {
		var k publicationKey
		if err := rows.Scan(&k.site, &k.kind, &k.at, &k.hash, &k.locale, &k.surface, &k.about); err != nil {
			return nil, asked("what was published", err)
		}
		held[k] = true
	}
	if err := rows.Err(); err != nil {
		return nil, asked("what was published", err)
	}
	return func(p *consent.Publication) bool { return held[keyOf(p)] }, nil
}

// publicationKey is what tells two rows of wordings or publications apart.
type publicationKey struct {
	site, kind                   string
	at                           int64
	hash, locale, surface, about string
}

func keyOf(p *consent.Publication) publicationKey {
	if p.Kind == consent.PublishedWording {
		return publicationKey{site: p.Site, hash: p.Hash.String()}
	}
	return publicationKey{p.Site, string(p.Kind), int64(p.PublishedAt), p.Hash.String(), p.Locale, p.Surface, string(p.About)}
}
