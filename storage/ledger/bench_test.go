package ledger

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/consentd/consentd/storage/consent"
)

// BenchmarkAppend appends from 128 goroutines, as 128 connections would, each proof of a new subject.
func BenchmarkAppend(b *testing.B) {
	l := open(b, Options{})
	b.ReportAllocs()
	var n atomic.Int64
	b.ResetTimer()
	var wg sync.WaitGroup
	for range 128 {
		wg.Go(func() {
			for {
				i := int(n.Add(1))
				if i > b.N {
					return
				}
				if _, err := l.Append(b.Context(), proof(l, i, consent.MethodCustom, true, false, true)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkStanding reads random subjects of a million.
func BenchmarkStanding(b *testing.B) {
	const subjects = 1_000_000
	l := open(b, Options{Cache: 1 << 30})
	fill(b, l, subjects)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, ok, err := l.Standing("demo", subject(1+rand.IntN(subjects)), "purpose1", l.Now()); err != nil || !ok {
				b.Error(ok, err)
				return
			}
		}
	})
}

// BenchmarkStandings reads a thousand random subjects of a million at a time; the figure is per subject.
func BenchmarkStandings(b *testing.B) {
	const subjects = 1_000_000
	l := open(b, Options{Cache: 1 << 30})
	fill(b, l, subjects)
	keys := make([]consent.SubjectKey, 1000)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += len(keys) {
		for j := range keys {
			keys[j] = subject(1 + rand.IntN(subjects))
		}
		if err := l.Standings("demo", keys, []string{"purpose1"}, l.Now(), func(int, []consent.Standing) {}); err != nil {
			b.Fatal(err)
		}
	}
}

func fill(b *testing.B, l *Ledger, subjects int) {
	b.Helper()
	var n atomic.Int64
	var wg sync.WaitGroup
	for range 256 {
		wg.Go(func() {
			for i := int(n.Add(1)); i <= subjects; i = int(n.Add(1)) {
				if _, err := l.Append(b.Context(), proof(l, i, consent.MethodCustom, true, false, true)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := l.db.Compact(b.Context(), []byte{0}, []byte{255}, true); err != nil {
		b.Fatal(err)
	}
}
