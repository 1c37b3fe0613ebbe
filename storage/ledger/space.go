package ledger

import "time"

// spaceInterval is how often free space is looked at. At the fastest this machine class records, 64 MiB a
// second, the default reserve lasts eight looks.
const spaceInterval = time.Second

// guardSpace stops admission while the disk is nearly full. Pebble ends the process on a full disk, and its
// errors stay after space is freed; so the ledger stops well before. Lookups and the drain go on: shipping
// and trimming is what frees space.
func (l *Ledger) guardSpace() {
	defer l.done.Done()
	tick := time.NewTicker(spaceInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.checkSpace()
		case <-l.stopGuard:
			return
		}
	}
}

// checkSpace looks once. A look that fails changes nothing: not knowing is no reason to refuse choices.
func (l *Ledger) checkSpace() {
	l.looking.Lock() // the last look is the latest
	defer l.looking.Unlock()
	usage, err := l.opt.fs.GetDiskUsage(l.opt.Dir)
	if err != nil {
		l.opt.Log.Warn("ledger: free disk space unknown", "error", err)
		return
	}
	l.free.Store(usage.AvailBytes)
	full := usage.AvailBytes < l.opt.Reserve
	if l.full.Swap(full) == full {
		return
	}
	if full {
		l.opt.Log.Error("ledger: disk nearly full, no choice is admitted until space is freed",
			"free_bytes", usage.AvailBytes, "reserve_bytes", l.opt.Reserve)
	} else {
		l.opt.Log.Info("ledger: disk space is back, admitting again", "free_bytes", usage.AvailBytes)
	}
}

// Health says what keeps the ledger from admitting, or nil.
func (l *Ledger) Health() error {
	if err := l.Err(); err != nil {
		return err
	}
	if l.full.Load() {
		return ErrNoSpace
	}
	return nil
}
