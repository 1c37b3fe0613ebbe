package consent

import (
	"time"

	"github.com/google/uuid"
)

// Claim is what an edge says of itself before it sends anything: rows under its name and generation are its own.
type Claim struct {
	Edge         string
	Instance     uuid.UUID   // of its ledger
	Generation   uint32      // it writes in
	Predecessors []uuid.UUID // instances of its earlier generations, whose name it may take over
	Session      uuid.UUID   // of the running process: a copy of a ledger has its instance, and a session of its own
	Replaces     []uuid.UUID // sessions of processes that are known to be gone
}

// Holder is who holds the name of an edge in the warehouse.
type Holder struct {
	Instance    uuid.UUID
	Generation  uint32
	Session     uuid.UUID
	Since, Seen Millis // when it first claimed the name, and last
}

// Pulse is a sign of life of the warehouse.
type Pulse struct {
	Now    Millis    // its clock
	Up     time.Time // by our clock, when the server that answers started, to the second
	Claims []Holder  // of the name asked about
}

// Rows names seqs [First, End) of a stream, all written in one generation of an edge.
type Rows struct {
	Edge       string
	Generation uint32
	First, End uint64
}

// HeldBucket is how many neighbouring seqs are counted together: a loss is found, and sent again, by the bucket.
const HeldBucket = 1 << 16

// Held is how many different seqs of a bucket the warehouse has.
type Held struct {
	Rows     uint64 // proofs (facts) or prompts
	Personal uint64 // proofs alone
}

// GapReason says why an answer may lack rows.
type GapReason string

// The reasons, gravest first.
const (
	GapAway      GapReason = "warehouse_away"        // the warehouse did not answer: only what this edge still holds was looked at
	GapRefused   GapReason = "edge_refused"          // another instance holds the name of this edge: nothing of ours is shipped
	GapUnchecked GapReason = "checking"              // what the warehouse holds has not been compared yet since it was last away
	GapRefilling GapReason = "refilling"             // the warehouse has lost rows, which are being sent again
	GapLost      GapReason = "lost"                  // the warehouse has lost rows that nobody holds any more
	GapBacklog   GapReason = "waiting_to_be_shipped" // recorded, and not in the warehouse yet
)

var gapReasons = []GapReason{GapAway, GapRefused, GapUnchecked, GapRefilling, GapLost, GapBacklog}

// Gap is a span of time of which an answer of the warehouse may lack rows.
type Gap struct {
	Reason GapReason
	Since  Millis // 0: since ever
	Before Millis // 0: until now
}

// Touches reports whether g and [from, to) have a moment in common.
func (g Gap) Touches(from, to Millis) bool {
	return (g.Before == 0 || g.Before > from) && (g.Since == 0 || g.Since < to)
}

// MergeGaps is the one gap around all of them, under the gravest reason; false: there is none.
func MergeGaps(all []Gap) (g Gap, any bool) {
	for _, reason := range gapReasons {
		for _, one := range all {
			switch {
			case one.Reason != reason:
			case !any:
				g, any = one, true
			default:
				g.Since = min(g.Since, one.Since) // 0 is the earliest
				if g.Before == 0 || one.Before == 0 {
					g.Before = 0
				} else {
					g.Before = max(g.Before, one.Before)
				}
			}
		}
	}
	return g, any
}

// Erasure says that a person was erased, without saying who: Who is a keyed fingerprint of the subject key, which only
// whoever holds the site's secret and the subject key can tell.
type Erasure struct {
	Site string `json:"site"`
	Who  string `json:"who"` // hex
	At   Millis `json:"at"`  // what was recorded until then is to be erased; what came later is a new beginning
}
