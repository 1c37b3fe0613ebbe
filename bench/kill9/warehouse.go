package kill9

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// compare reads ClickHouse's rows as they come and holds them against the record. It gives their number. Rows that
// never came are a broken promise, not an error of the run.
func (k *killer) compare(ctx context.Context, total uint64) (rows uint64, err error) {
	r, w := io.Pipe()
	go func() { w.CloseWithError(k.o.Server.Rows(ctx, total, w)) }()
	defer r.Close()
	rows, err = k.record.Compare(r, total)
	if errors.Is(err, ErrMissing) {
		k.record.problem("%v", err)
		err = nil
	}
	return rows, err
}

// Compare reads lines of id and seq, ordered by seq, and notes every row that is missing, doubled, or another
// than the one acknowledged. Rows nobody was told of are no problem as long as they have their own seq: their
// answer was cut off by the kill. total is how many rows there must be.
func (r *Record) Compare(lines io.Reader, total uint64) (rows uint64, err error) {
	next := uint64(0)
	untold := map[uuid.UUID]uint64{} // rows nobody was told of: few, one for each connection that was cut
	scan := bufio.NewScanner(lines)
	for scan.Scan() {
		id, seq, err := parseRow(scan.Text())
		if err != nil {
			return rows, err
		}
		rows++
		switch {
		case seq < next:
			r.problem("seq %d is in ClickHouse more than once", seq)
			continue
		case seq > next:
			r.missing(next, seq)
		}
		switch want := r.of(seq); want {
		case id:
		case uuid.Nil:
			r.untold(untold, id, seq)
		default:
			r.problem("seq %d was acknowledged to choice %s and is choice %s in ClickHouse", seq, want, id)
		}
		next = seq + 1
	}
	r.twice(untold)
	if next < total {
		r.missing(next, total)
	}
	return rows, scan.Err()
}

// missing notes a gap, and how much of it was promised.
func (r *Record) missing(from, to uint64) {
	promised := 0
	for seq := from; seq < to; seq++ {
		if r.of(seq) != uuid.Nil {
			promised++
		}
	}
	r.problem("seqs %d to %d are not in ClickHouse; %d of them were acknowledged", from, to-1, promised)
}

func (r *Record) untold(known map[uuid.UUID]uint64, id uuid.UUID, seq uint64) {
	if other, twice := known[id]; twice {
		r.problem("choice %s is in ClickHouse as seq %d and as seq %d", id, other, seq)
	}
	known[id] = seq
}

// twice notes acknowledged choices that are also there under a seq nobody was told of.
func (r *Record) twice(untold map[uuid.UUID]uint64) {
	for seq := range uint64(len(r.ids)) {
		if other, twice := untold[r.of(seq)]; twice {
			r.problem("choice %s was acknowledged as seq %d and is in ClickHouse as seq %d too", r.of(seq), seq, other)
		}
	}
}

func parseRow(line string) (id uuid.UUID, seq uint64, err error) {
	a, b, _ := strings.Cut(line, "\t")
	if id, err = uuid.Parse(a); err == nil {
		seq, err = strconv.ParseUint(b, 10, 64)
	}
	if err != nil {
		return id, 0, fmt.Errorf("reading rows of ClickHouse: %q: %w", line, err)
	}
	return id, seq, nil
}
