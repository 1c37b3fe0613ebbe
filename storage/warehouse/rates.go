package warehouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Dimension is something rates can be split by.
type Dimension string

// The dimensions. Values of day and hour are UTC: "2026-11-20", "2026-11-20T10:00:00Z".
const (
	ByDay     Dimension = "day"
	ByHour    Dimension = "hour"
	ByPurpose Dimension = "purpose"
	ByLocale  Dimension = "locale"
	BySurface Dimension = "surface"
	ByWording Dimension = "wording" // 64 hex digits, "" for none
	ByMethod  Dimension = "method"
	ByCountry Dimension = "country" // ISO 3166-1 alpha-2, "" for unknown
	ByDevice  Dimension = "device"
	ByPage    Dimension = "page" // "" also stands for erased persons
)

// dimension says where a value is found. Expressions see the columns of the inner query: the stored ones,
// hour, and purpose where it is asked for.
type dimension struct {
	expr    string
	prompts bool // a prompt has it
}

func dimensions() map[Dimension]dimension {
	return map[Dimension]dimension{
		ByDay:     {"toString(toDate(hour))", true},
		ByHour:    {"formatDateTime(hour, '%Y-%m-%dT%H:00:00Z')", true},
		ByPurpose: {"purpose", true},
		ByLocale:  {"toString(locale)", true},
		BySurface: {"toString(surface)", true},
		ByWording: {"toString(wording)", true},
		ByMethod:  {"toString(method)", false},
		ByCountry: {"toString(country)", true},
		ByDevice:  {"toString(device)", true},
		ByPage:    {"toString(page)", true},
	}
}

// Bounds of a RatesQuery.
const (
	MaxRatesRange = 3 * 366 * 24 * time.Hour
	MaxRatesRows  = 10_000
)

// RatesQuery asks for consent rates of one site.
type RatesQuery struct {
	Site  string
	From  time.Time   // cut down to its hour (UTC)
	To    time.Time   // exclusive; raised to the next full hour
	By    []Dimension // each at most once; none: one row for everything
	Limit int         // rows, 1 to MaxRatesRows; 0 is MaxRatesRows
}

// Rate is one row of rates.
//
// Granted and Denied count answers, that is, proofs. Split by purpose, an answer counts once for each purpose it
// decides on. Otherwise it counts once, as granted when it grants at least one purpose, as denied when it
// grants none. A withdrawal is an answer that denies; ByMethod tells it apart. A person who answers twice
// counts twice.
//
// Prompts counts displays, and is nil when the rows are split by method: a display has none yet. Split by
// purpose, a display counts for every purpose its wording asks about, so that each purpose of a banner has
// the same number. It can be below Granted + Denied: answers over the API, withdrawals and imports follow no display.
// (Granted + Denied) / Prompts is the share of displays that were answered.
type Rate struct {
	Keys    []string // values of RatesQuery.By, in its order
	Granted uint64
	Denied  uint64
	Prompts *uint64
	Ratio   *float64 // Granted / (Granted + Denied); nil when nobody answered
}

// Rates are the rows, ordered by their keys, ascending.
type Rates struct {
	Rows      []Rate
	Truncated bool // there are more rows than Limit
}

// ErrQuery means that a question is malformed; the error around it says how, fit for the client.
var ErrQuery = errors.New("warehouse: bad query")

// Validate reports the first mistake in q as an ErrQuery.
func (q *RatesQuery) Validate() error {
	known := dimensions()
	switch {
	case q.Site == "":
		return fmt.Errorf("%w: no site", ErrQuery)
	case !q.From.Before(q.To):
		return fmt.Errorf("%w: from is not before to", ErrQuery)
	case q.To.Sub(q.From) > MaxRatesRange:
		return fmt.Errorf("%w: from and to are more than %d days apart", ErrQuery, MaxRatesRange/(24*time.Hour))
	case q.From.Before(time.Unix(0, 0)) || q.To.Year() > 2100:
		return fmt.Errorf("%w: from and to lie between 1970 and 2100", ErrQuery)
	case q.Limit < 0 || q.Limit > MaxRatesRows:
		return fmt.Errorf("%w: limit is 1 to %d", ErrQuery, MaxRatesRows)
	}
	for i, d := range q.By {
		if _, ok := known[d]; !ok {
			return fmt.Errorf("%w: unknown dimension %q", ErrQuery, d)
		}
		if slices.Contains(q.By[:i], d) {
			return fmt.Errorf("%w: dimension %q twice", ErrQuery, d)
		}
	}
	return nil
}

// Rates answers q by counting the facts, in time in proportion to the proofs and prompts of the range; split by page,
// which can be personal, it also reads the personal parts.
func (w *Warehouse) Rates(ctx context.Context, q RatesQuery) (*Rates, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	if q.Limit == 0 {
		q.Limit = MaxRatesRows
	}
	ctx, cancel := context.WithTimeout(ctx, w.opt.Timeout)
	defer cancel()
	from, to := q.From.UTC().Truncate(time.Hour), q.To.UTC()
	if up := to.Truncate(time.Hour); up.Before(to) {
		to = up.Add(time.Hour)
	}
	rows, err := w.conn.Query(ctx, q.sql(), clickhouse.Named("site", q.Site), clickhouse.Named("from", from.Unix()),
		clickhouse.Named("to", to.Unix()), clickhouse.Named("limit", uint64(q.Limit)+1))
	if err != nil {
		return nil, fmt.Errorf("asking for rates: %w", err)
	}
	defer rows.Close()
	var r Rates
	for rows.Next() {
		row, err := q.scan(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("reading rates: %w", err)
		}
		r.Rows = append(r.Rows, row)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading rates: %w", err)
	}
	if r.Truncated = len(r.Rows) > q.Limit; r.Truncated {
		r.Rows = r.Rows[:q.Limit]
	}
	return &r, nil
}

func (q *RatesQuery) scan(scan func(...any) error) (Rate, error) {
	r := Rate{Keys: make([]string, len(q.By))}
	var prompts uint64
	dest := make([]any, 0, len(q.By)+3)
	for i := range r.Keys {
		dest = append(dest, &r.Keys[i])
	}
	if err := scan(append(dest, &r.Granted, &r.Denied, &prompts)...); err != nil {
		return r, err
	}
	if q.hasPrompts() {
		r.Prompts = &prompts
	}
	if n := r.Granted + r.Denied; n > 0 {
		ratio := float64(r.Granted) / float64(n)
		r.Ratio = &ratio
	}
	return r, nil
}

func (q *RatesQuery) by(d Dimension) bool { return slices.Contains(q.By, d) }

func (q *RatesQuery) hasPrompts() bool {
	known := dimensions()
	return !slices.ContainsFunc(q.By, func(d Dimension) bool { return !known[d].prompts })
}

// sql is put together from constants only; every value is a bound parameter.
func (q *RatesQuery) sql() string {
	known := dimensions()
	var keys, names []string
	for i, d := range q.By {
		names = append(names, fmt.Sprintf("k%d", i))
		keys = append(keys, fmt.Sprintf("%s AS k%d, ", known[d].expr, i))
	}
	list, group, order := strings.Join(names, ", "), "", ""
	if len(names) > 0 {
		group, order, list = " GROUP BY "+list, " ORDER BY "+list, list+", "
	}
	parts := "SELECT " + strings.Join(keys, "") + "sumIf(n, granted) AS g, sumIf(n, NOT granted) AS d, toUInt64(0) AS p FROM " + q.answers() + group
	if q.hasPrompts() {
		parts += " UNION ALL SELECT " + strings.Join(keys, "") + "toUInt64(0) AS g, toUInt64(0) AS d, sum(n) AS p FROM " + q.prompts() + group
	}
	return "SELECT " + list + "sum(g), sum(d), sum(p) FROM (" + parts + ")" + group + order +
		" LIMIT {limit:UInt64} SETTINGS do_not_merge_across_partitions_select_final = 1"
}

// Columns are named whole in both ranges, so that the primary key serves. What repeats an id does not count.
const (
	recordedRange = "site = {site:String} AND recorded_at >= toDateTime64({from:Int64}, 3, 'UTC') AND recorded_at < toDateTime64({to:Int64}, 3, 'UTC')"
	shownRange    = "site = {site:String} AND shown_at >= toDateTime64({from:Int64}, 3, 'UTC') AND shown_at < toDateTime64({to:Int64}, 3, 'UTC')"

	countedFacts = "consent_facts FINAL WHERE " + recordedRange + ` AND (recorded_at, edge, generation, seq) NOT IN
		(SELECT recorded_at, edge, generation, seq FROM consent_repeats WHERE ` + recordedRange + ")"
	countedPrompts = "prompts FINAL WHERE " + shownRange + ` AND (shown_at, edge, generation, seq) NOT IN
		(SELECT shown_at, edge, generation, seq FROM prompt_repeats WHERE ` + shownRange + ")"
)

// answers gives rows (dimensions, granted, n): n answers. Grouping first leaves the JSON of decisions to be read once
// a group, not once a proof.
func (q *RatesQuery) answers() string {
	rows := "(SELECT " + q.stored("recorded_at") + "decisions, count() AS n FROM " + countedFacts + " GROUP BY ALL)"
	if q.by(ByPage) {
		// One integer as the key makes the join a third as dear as the whole place: it is seq, shifted for each log to
		// a place of its own. ANY: a proof counts once, whatever it meets.
		rows = `(SELECT ` + q.stored("f.recorded_at") + `decisions, count() AS n
			FROM (SELECT * FROM ` + countedFacts + `) AS f
			LEFT ANY JOIN (SELECT edge, generation, seq, page FROM consent_personal WHERE ` + recordedRange + `) AS p
			ON bitXor(f.seq, cityHash64(f.edge, f.generation)) = bitXor(p.seq, cityHash64(p.edge, p.generation)) GROUP BY ALL)`
	}
	if q.by(ByPurpose) {
		return "(SELECT *, choice.1 AS purpose, choice.2 = 'granted' AS granted FROM " + rows +
			" ARRAY JOIN JSONExtractKeysAndValues(toString(decisions), 'String') AS choice)"
	}
	return "(SELECT *, has(arrayMap(c -> c.2, JSONExtractKeysAndValues(toString(decisions), 'String')), 'granted') AS granted FROM " + rows + ")"
}

// prompts gives rows (dimensions, n): n displays.
func (q *RatesQuery) prompts() string {
	rows := "(SELECT " + q.stored("shown_at") + "wording, count() AS n FROM " + countedPrompts + " GROUP BY ALL)"
	if q.by(ByPurpose) {
		return "(SELECT s.*, purpose FROM " + rows + ` AS s
			INNER JOIN (SELECT hash, asked FROM wordings FINAL WHERE site = {site:String}) AS w ON toString(s.wording) = w.hash
			ARRAY JOIN w.asked AS purpose)`
	}
	return rows
}

// stored lists the columns that the dimensions of q rest on, out of a table whose rows are dated by at.
func (q *RatesQuery) stored(at string) string {
	hour, list := false, ""
	for _, d := range q.By {
		switch d {
		case ByDay, ByHour:
			hour = true
		case ByPurpose: // out of decisions, or asked
		case ByWording:
			if at == "shown_at" { // listed already, for asked
				continue
			}
			fallthrough
		default:
			list += string(d) + ", "
		}
	}
	if hour {
		list += "toStartOfHour(" + at + ") AS hour, "
	}
	return list
}
