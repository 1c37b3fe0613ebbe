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
	send  func(ctx context.Context, from consent.Place, rows []T) error
	erase func(T) // takes the personal part off; nil: there is none
}

func (l lane[T]) read(ledger Ledger, s consent.Stream, first, end uint64, bare map[uint64]bool) (*batch, error) {
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
		if bare[seq] && l.erase != nil {
			l.erase(row)
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
	from := consent.Place{Edge: ledger.Edge(), Generation: ledger.Generation(s, first), Seq: first}
	b.send = func(ctx context.Context) error { return l.send(ctx, from, rows) }
	return b, nil
}

// reader decodes [first, end); rows in bare lose their personal part.
type reader func(first, end uint64, bare map[uint64]bool) (*batch, error)

// reader picks the lane of a stream.
func (d *Drain) reader(s consent.Stream) reader {
	w := d.opt.Warehouse
	switch s {
	case consent.StreamPrompts:
		return readerOf(d, s, lane[*consent.Prompt]{parse: consent.ParsePrompt, at: func(p *consent.Prompt) consent.Millis { return p.ShownAt }, send: w.SendPrompts})
	case consent.StreamWordings:
		return readerOf(d, s, lane[*consent.Publication]{parse: consent.ParsePublication, at: func(p *consent.Publication) consent.Millis { return p.PublishedAt }, send: w.SendWordings})
	default:
		return readerOf(d, s, lane[*consent.Proof]{parse: consent.ParseProof, at: func(p *consent.Proof) consent.Millis { return p.RecordedAt }, send: w.SendProofs,
			erase: (*consent.Proof).Erase})
	}
}

func readerOf[T any](d *Drain, s consent.Stream, l lane[T]) reader {
	return func(first, end uint64, bare map[uint64]bool) (*batch, error) {
		return l.read(d.opt.Ledger, s, first, end, bare)
	}
}
