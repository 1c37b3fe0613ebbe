package drain

// TrimOnce does what the trimming loop does every minute.
func (d *Drain) TrimOnce(marks *Marks) error {
	if marks.all == nil {
		marks.all = make([][]mark, len(d.streams))
	}
	for _, s := range d.streams {
		if err := s.trim(&marks.all[s.id]); err != nil {
			return err
		}
	}
	return nil
}

// Marks is what the loop remembers between two turns.
type Marks struct{ all [][]mark }

// KeepProofs and Settle are constants tests count with.
const (
	KeepProofs = keepProofs
	Settle     = settle
)
