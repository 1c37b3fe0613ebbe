package server

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/warehouse"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// rates answers how many were asked, and how many said yes and no.
func (s *Server) rates(c *fiber.Ctx, v *view) error {
	ctx := c.Context()
	q, err := readRates(ctx.QueryArgs(), v.site.ID, s.opt.Ledger.Now().Time())
	if err != nil {
		return err
	}
	if s.opt.Warehouse == nil {
		return errNoWarehouse()
	}
	asked, cancel := asking()
	defer cancel()
	gaps := s.gaps()
	r, err := s.opt.Warehouse.Rates(asked, q)
	if err != nil {
		return warehouseError(err)
	}
	from, to := ratesRange(q)
	gaps = slices.DeleteFunc(append(gaps, s.gaps()...), func(g consent.Gap) bool { return !g.Touches(from, to) })
	b := appendIncomplete(appendRates(begin(ctx), q, r), gaps)
	finish(ctx, fasthttp.StatusOK, mimeJSON, append(b, '}'))
	return nil
}

// ratesRange is what q is about: whole hours.
func ratesRange(q warehouse.RatesQuery) (from, to consent.Millis) {
	return consent.ToMillis(q.From.UTC().Truncate(time.Hour)), consent.ToMillis(q.To.UTC().Add(time.Hour - 1).Truncate(time.Hour))
}

// defaultRange is what is answered about when nothing is said: the last thirty days.
const defaultRange = 30 * 24 * time.Hour

func readRates(args *fasthttp.Args, site string, now time.Time) (warehouse.RatesQuery, error) {
	q := warehouse.RatesQuery{Site: site, By: []warehouse.Dimension{warehouse.ByPurpose}}
	seen := map[string]bool{}
	for k, v := range args.All() {
		name := string(k)
		if seen[name] {
			return q, refuse(400, codeBadQuery, "each parameter once; dimensions are separated by commas")
		}
		seen[name] = true
		if err := setRate(&q, name, string(v)); err != nil {
			return q, err
		}
	}
	if q.To.IsZero() {
		q.To = now
	}
	if q.From.IsZero() {
		q.From = q.To.Add(-defaultRange)
	}
	if err := q.Validate(); err != nil {
		return q, warehouseError(err)
	}
	return q, nil
}

func setRate(q *warehouse.RatesQuery, name, value string) (err error) {
	switch name {
	case "from":
		q.From, err = moment(value, 0)
	case "to":
		q.To, err = moment(value, 24*time.Hour)
	case "by":
		q.By = dimensions(value)
	case "limit":
		if q.Limit, err = strconv.Atoi(value); err != nil || q.Limit < 1 {
			err = refuse(400, codeBadQuery, "limit is 1 to "+strconv.Itoa(warehouse.MaxRatesRows))
		}
	default:
		err = refuse(400, codeBadQuery, "known parameters: from, to, by, limit")
	}
	return err
}

// moment reads RFC 3339, or a date, which stands for its midnight UTC plus whole: "to" a date takes that day in.
func moment(s string, whole time.Duration) (time.Time, error) {
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t.Add(whole), nil
	}
	// A plus sign that was not encoded has become a space.
	if t, err := time.Parse(time.RFC3339, strings.ReplaceAll(s, " ", "+")); err == nil {
		return t.UTC(), nil
	}
	return time.Time{}, refuse(400, codeBadQuery, "from and to are RFC 3339 moments or dates")
}

// dimensions splits "day,purpose"; an empty list asks for one row over everything.
func dimensions(s string) []warehouse.Dimension {
	if s == "" {
		return nil
	}
	var by []warehouse.Dimension
	for d := range strings.SplitSeq(s, ",") {
		by = append(by, warehouse.Dimension(strings.TrimSpace(d)))
	}
	return by
}

// appendRates leaves the brace open.
func appendRates(b []byte, q warehouse.RatesQuery, r *warehouse.Rates) []byte {
	from, to := ratesRange(q)
	b = append(b, `{"site":"`...)
	b = append(b, q.Site...)
	b = append(b, `","from":`...)
	b = consent.AppendMillis(b, from)
	b = append(b, `,"to":`...)
	b = consent.AppendMillis(b, to)
	b = append(b, `,"by":[`...)
	for i, d := range q.By {
		if i > 0 {
			b = append(b, ',')
		}
		b = consent.AppendJSONString(b, string(d))
	}
	b = append(b, `],"rows":[`...)
	for i := range r.Rows {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendRate(b, q.By, &r.Rows[i])
	}
	b = append(b, `],"truncated":`...)
	return strconv.AppendBool(b, r.Truncated)
}

func appendRate(b []byte, by []warehouse.Dimension, r *warehouse.Rate) []byte {
	b = append(b, '{')
	for i, d := range by {
		b = consent.AppendJSONString(b, string(d))
		b = append(b, ':')
		b = consent.AppendJSONString(b, r.Keys[i])
		b = append(b, ',')
	}
	b = append(b, `"granted":`...)
	b = strconv.AppendUint(b, r.Granted, 10)
	b = append(b, `,"denied":`...)
	b = strconv.AppendUint(b, r.Denied, 10)
	b = append(b, `,"prompts":`...)
	if r.Prompts == nil {
		b = append(b, "null"...)
	} else {
		b = strconv.AppendUint(b, *r.Prompts, 10)
	}
	b = append(b, `,"ratio":`...)
	if r.Ratio == nil {
		return append(b, "null}"...)
	}
	return append(strconv.AppendFloat(b, *r.Ratio, 'f', -1, 64), '}')
}
