package evidence_test

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/evidence"
)

// BenchmarkRecord appends from 128 goroutines, alone and while the logs are sealed every second and a monitor follows
// them: what evidence costs the record path.
func BenchmarkRecord(b *testing.B) {
	for _, row := range []struct {
		name          string
		seal, monitor bool
	}{{"bare", false, false}, {"sealed", true, false}, {"sealed and followed", true, true}} {
		b.Run(row.name, func(b *testing.B) {
			e := openEdge(b, b.TempDir())
			ctx, stop := context.WithCancel(context.Background())
			var beside sync.WaitGroup
			if row.seal {
				beside.Go(func() { e.Run(ctx) })
			}
			if row.monitor {
				beside.Go(func() { follow(ctx, b, e) })
			}
			proofs := make(chan *consent.Proof, 1024)
			beside.Go(func() {
				defer close(proofs)
				for i := range b.N {
					proofs <- e.proof(i, nil)
				}
			})
			b.ResetTimer()
			used := processorTime()
			var wg sync.WaitGroup
			for range 128 {
				wg.Go(func() {
					for p := range proofs {
						if _, err := e.ledger.Append(ctx, p); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64((processorTime()-used).Nanoseconds())/float64(b.N), "cpu-ns/op")
			stop()
			beside.Wait()
		})
	}
}

// processorTime is what this process has used of all processors: on a machine that does other things as well it says
// more than the clock.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// follow reads every entry and every tile of hashes, as a monitor does, as soon as they are sealed.
func follow(ctx context.Context, b *testing.B, e *edge) {
	next := uint64(0)
	for ctx.Err() == nil {
		_, c, err := e.Checkpoint(consent.StreamProofs)
		if err != nil || c.Size < next+256 {
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		for _, entries := range []bool{true, false} {
			if _, err := e.Tile(ctx, consent.StreamProofs, evidence.Tile{Entries: entries, N: next / 256, Width: 256}); err != nil {
				b.Error(err)
				return
			}
		}
		next += 256
	}
}

// BenchmarkMake makes evidence of one proof of a log of 100,000.
func BenchmarkMake(b *testing.B) {
	e := openEdge(b, b.TempDir())
	w := wording(b, "fr", "Vos choix")
	e.publish(w)
	all := make([]evidence.Recorded, 100_000)
	var n atomic.Int64
	var wg sync.WaitGroup
	for range 128 {
		wg.Go(func() {
			for i := n.Add(1) - 1; i < int64(len(all)); i = n.Add(1) - 1 {
				all[i] = e.record(e.proof(int(i), w))
			}
		})
	}
	wg.Wait()
	e.seal()
	var file []byte
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		file = e.file(all[i*7919%len(all)])
	}
	b.ReportMetric(float64(len(file)), "bytes")
}

// BenchmarkVerify verifies one such file.
func BenchmarkVerify(b *testing.B) {
	e := openEdge(b, b.TempDir())
	w := wording(b, "fr", "Vos choix")
	e.publish(w)
	file := e.file(e.recordMany(1000, w)[500])
	keys := []evidence.Key{e.key()}
	for b.Loop() {
		if r := evidence.Verify(file, keys, nil); !r.OK() {
			b.Fatal(steps(r))
		}
	}
}
