package consent

// Stream is one of the ordered sequences an edge writes to its ledger and ships to the warehouse. Each has
// its own contiguous seq, counted from 0.
type Stream byte

// The streams. Only proofs are leaves of the log.
const (
	StreamProofs Stream = iota
	StreamPrompts
	StreamWordings
)

// Streams lists them all.
func Streams() []Stream { return []Stream{StreamProofs, StreamPrompts, StreamWordings} }

func (s Stream) String() string {
	return name([]string{"proofs", "prompts", "wordings"}, uint8(s))
}

// Cursor is how far a stream has been shipped. It is persisted before anything is sent, so that a retry
// after a crash sends the same rows.
type Cursor struct {
	Next uint64 // every seq before it has been shipped or set aside
	End  uint64 // Next < End: the range [Next, End) is being sent; End ≤ Next: nothing is in flight
}

// SetAside is a row the warehouse refuses for good: kept, counted and alerted about, so that the queue
// behind it moves on.
type SetAside struct {
	Stream Stream
	Seq    uint64
	At     Millis
	Why    string
	Entry  []byte // the row in its binary form; the ledger adds it, so that it outlives the stream's trimming
}
