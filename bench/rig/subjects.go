package rig

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/consentd/consentd/bench/load"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/google/uuid"
)

// Device is the i-th device id: the same number gives the same UUID in every run, so that a lookup can draw
// a subject that exists, or one that does not, without remembering any.
func Device(i uint64) (hi, lo uint64) { return load.V4(mix(2*i), mix(2*i+1)) }

// mix is the output function of SplitMix64 (Steele, Lea, Flood 2014): one round of it makes neighbouring
// numbers unrelated.
func mix(z uint64) uint64 {
	z = (z + 1) * 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Population is what Fill writes: N subjects who each chose once.
type Population struct {
	N      uint64
	Shown  *Shown
	Keyer  *consent.Keyer // of the site, so that the program finds the subjects by device
	Writer int            // goroutines; 0: 2,048, so that a slow disk's fsync is shared by enough to be cheap
}

// fillCache holds the index blocks of ten million subjects. With less, every proof reads and unpacks some of
// them again to find that its id and its subject are new: 64 MiB filled 12,000/s at a million subjects.
const fillCache = 1 << 30

// Fill appends p to the ledger in dir, which no program may hold meanwhile, and reports progress now and
// then. With shipped, the drain takes them for already sent.
func Fill(ctx context.Context, dir string, p Population, shipped bool, progress func(done uint64)) error {
	l, err := ledger.Open(ledger.Options{Dir: dir, Cache: fillCache})
	if err != nil {
		return fmt.Errorf("opening the ledger to fill it: %w", err)
	}
	err = p.appendTo(ctx, l, progress)
	if err == nil && shipped {
		end := l.Next(consent.StreamProofs)
		err = l.SaveCursor(consent.StreamProofs, consent.Cursor{Next: end, End: end})
	}
	return errors.Join(err, l.Close())
}

func (p Population) appendTo(ctx context.Context, l *ledger.Ledger, progress func(uint64)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	wording, err := consent.ParseHash(p.Shown.Hash)
	if err != nil {
		return err
	}
	if p.Writer == 0 {
		p.Writer = 2048
	}
	var next, done atomic.Uint64
	var wg sync.WaitGroup
	for range p.Writer {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < p.N && ctx.Err() == nil; i = next.Add(1) - 1 {
				if _, err := l.Append(ctx, p.proof(i, wording, l)); err != nil {
					cancel(fmt.Errorf("appending subject %d: %w", i, err))
					return
				}
				done.Add(1)
			}
		})
	}
	finished := make(chan struct{})
	go func() { wg.Wait(); close(finished) }()
	every := time.NewTicker(5 * time.Second)
	defer every.Stop()
	for {
		select {
		case <-finished:
			return context.Cause(ctx)
		case <-every.C:
			progress(done.Load())
		}
	}
}

// Granted reports what subject i decided on purpose k of those it was shown.
func Granted(i uint64, k int) bool { return mix(^i)>>k&1 == 1 }

// proof is subject i's choice, as the server would have recorded it from a browser: every identifier random,
// the address too; user agent and page from as many values as a site of some size sees.
func (p Population) proof(i uint64, wording consent.Hash, l *ledger.Ledger) *consent.Proof {
	hi, lo := Device(i)
	a, b := mix(3*i+1<<40), mix(3*i+1<<41)
	now := l.Now()
	idHi, idLo := load.V7(now.Time(), a, b)
	promptHi, promptLo := load.V4(b, a)
	pr := &consent.Proof{
		Facts: consent.Facts{
			ID: id(idHi, idLo), Site: Site, Edge: l.Edge(), RecordedAt: now,
			Surface: p.Shown.Surface, Locale: p.Shown.Locale, Country: countries[a%uint64(len(countries))],
			Device: devices[b%uint64(len(devices))], Wording: wording, Grade: consent.GradeProven, Prompt: id(promptHi, promptLo),
		},
		Personal: consent.Personal{
			Subject: p.subject(id(hi, lo)), Kind: consent.KindDevice, Salt: consent.NewSalt(),
			IP:        netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, uint32(a>>20)))),
			UserAgent: fmt.Sprintf("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36", 100+b>>8%200),
			Page:      fmt.Sprintf("%s/a/%d", Origin, a>>8%1000),
		},
	}
	given := 0
	for k, purpose := range p.Shown.Purposes {
		pr.Decisions = append(pr.Decisions, consent.Choice{Purpose: purpose, Granted: Granted(i, k)})
		if Granted(i, k) {
			given++
		}
	}
	pr.Method = method(given, len(p.Shown.Purposes))
	pr.Commitment = pr.Personal.Commit()
	return pr
}

func (p Population) subject(device uuid.UUID) consent.SubjectKey {
	return p.Keyer.Key(consent.Subject{Kind: consent.KindDevice, Value: device.String()})
}

func method(given, of int) consent.Method {
	switch given {
	case of:
		return consent.MethodAcceptAll
	case 0:
		return consent.MethodRejectAll
	}
	return consent.MethodCustom
}

func id(hi, lo uint64) (u uuid.UUID) {
	binary.BigEndian.PutUint64(u[:8], hi)
	binary.BigEndian.PutUint64(u[8:], lo)
	return u
}

var (
	countries = [...]string{"FR", "BE", "DE", "ES", "IT", "CH", "NL", "LU", ""}
	devices   = [...]consent.DeviceClass{consent.DeviceMobile, consent.DeviceDesktop, consent.DeviceMobile, consent.DeviceTablet}
)
