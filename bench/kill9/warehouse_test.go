package kill9

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
)

func TestRowsAreHeldAgainstWhatWasAcknowledged(t *testing.T) {
	id := func(n byte) uuid.UUID { return uuid.UUID{15: n + 1} }
	row := func(n byte, seq uint64) string { return fmt.Sprintf("%s\t%d\n", id(n), seq) }
	for name, c := range map[string]struct {
		rows []string
		want []string // what each problem says
	}{
		"all there, one of them unacknowledged":  {[]string{row(0, 0), row(1, 1), row(2, 2), row(3, 3)}, nil},
		"the last one missing":                   {[]string{row(0, 0), row(1, 1), row(2, 2)}, []string{"seqs 3 to 3 are not in ClickHouse; 1 of them"}},
		"an unacknowledged one missing":          {[]string{row(0, 0), row(2, 2), row(3, 3)}, []string{"seqs 1 to 1 are not in ClickHouse; 0 of them"}},
		"two in the middle missing":              {[]string{row(0, 0), row(3, 3)}, []string{"seqs 1 to 2 are not in ClickHouse; 1 of them"}},
		"one twice":                              {[]string{row(0, 0), row(1, 1), row(1, 1), row(2, 2), row(3, 3)}, []string{"seq 1 is in ClickHouse more than once"}},
		"one with another's seq":                 {[]string{row(0, 0), row(1, 1), row(9, 2), row(3, 3)}, []string{"seq 2 was acknowledged"}},
		"an acknowledged one under a second seq": {[]string{row(0, 0), row(2, 1), row(2, 2), row(3, 3)}, []string{"is in ClickHouse as seq 1 too"}},
		"nothing at all":                         {nil, []string{"seqs 0 to 3 are not in ClickHouse; 3 of them"}},
	} {
		r := NewRecord()
		for _, n := range []byte{0, 2, 3} {
			r.Acknowledge(id(n), uint64(n))
		}
		n, err := r.Compare(strings.NewReader(strings.Join(c.rows, "")), 4)
		if err != nil || n != uint64(len(c.rows)) {
			t.Errorf("%s: %d rows, %v", name, n, err)
		}
		got := r.Problems()
		if len(got) != len(c.want) {
			t.Errorf("%s: problems %q, want %q", name, got, c.want)
			continue
		}
		for i := range got {
			if !strings.Contains(got[i].Text, c.want[i]) {
				t.Errorf("%s: problem %q, want %q", name, got[i], c.want[i])
			}
		}
	}
}

func TestASeqGivenTwiceIsAProblem(t *testing.T) {
	r := NewRecord()
	r.Acknowledge(uuid.UUID{1}, 7)
	r.Acknowledge(uuid.UUID{2}, 7)
	r.Acknowledge(uuid.UUID{3}, maxSeq)
	if p := r.Problems(); len(p) != 2 {
		t.Errorf("problems %q, want one for seq 7 and one for a seq beyond counting", p)
	}
}

func TestRowsThatCannotBeReadEndTheComparison(t *testing.T) {
	for _, line := range []string{"id\tseq", "7", uuid.Nil.String() + "\t-1", ""} {
		if _, err := NewRecord().Compare(strings.NewReader(line+"\n"), 0); err == nil {
			t.Errorf("row %q was taken", line)
		}
	}
}
