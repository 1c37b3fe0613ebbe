package drain

import (
	"context"
	"errors"

	"github.com/consentd/consentd/storage/consent"
)

// batch is a range [first, end) of one stream, decoded.
type batch struct {
	first, end uint64
	oldest     consent.Millis // time of the first row
	damaged    bool           // entry end cannot be decoded; the rows before it can
	send       func(ctx context.Context) error
}

// errStop ends a scan early.
var errStop = errors.New("stop")

// lane says how the rows of a stream are read, dated and sent.
type lane[T any] struct {
	parse func([]byte) (T, error)
	at    func(T) consent.Millis
	edge  func(T) string
	send  func(ctx context.Context, from consent.Place, rows []T) error
}

func (l lane[T]) read(ledger Ledger, s consent.Stream, first, end uint64) (*batch, error) {
	rows := make([]T, 0, end-first)
	b := &batch{first: first}
	err := ledger.Scan(s, first, end, func(seq uint64, raw []byte) error {
		if seq != first+uint64(len(rows)) {
			return ErrGap
		}
		row, err := l.parse(raw)
		if err != nil {
			b.damaged = true
			return errStop
		}
		rows = append(rows, row)
		return nil
	})
	if err != nil && !errors.Is(err, errStop) {
		return nil, err
	}
	b.end = first + uint64(len(rows))
	if b.end < end && !b.damaged {
		return nil, ErrGap
	}
	if len(rows) > 0 {
		b.oldest = l.at(rows[0])
	}
	from := consent.Place{Generation: consent.FirstGeneration, Seq: first}
	if len(rows) > 0 {
		from.Edge = l.edge(rows[0])
	}
	b.send = func(ctx context.Context) error { return l.send(ctx, from, rows) }
	return b, nil
}

type reader func(first, end uint64) (*batch, error)

// reader picks the lane of a stream.
func (d *Drain) reader(s consent.Stream) reader {
	l, w := d.opt.Ledger, d.opt.Warehouse
	switch s {
	case consent.StreamPrompts:
		lane := lane[*consent.Prompt]{consent.ParsePrompt, func(p *consent.Prompt) consent.Millis { return p.ShownAt },
			func(p *consent.Prompt) string { return p.Edge }, w.SendPrompts}
		return func(first, end uint64) (*batch, error) { return lane.read(l, s, first, end) }
	case consent.StreamWordings:
		lane := lane[*consent.Publication]{consent.ParsePublication, func(p *consent.Publication) consent.Millis { return p.PublishedAt },
			func(*consent.Publication) string { return "" }, w.SendWordings}
		return func(first, end uint64) (*batch, error) { return lane.read(l, s, first, end) }
	default:
		lane := lane[*consent.Proof]{consent.ParseProof, func(p *consent.Proof) consent.Millis { return p.RecordedAt },
			func(p *consent.Proof) string { return p.Edge }, w.SendProofs}
		return func(first, end uint64) (*batch, error) { return lane.read(l, s, first, end) }
	}
}
