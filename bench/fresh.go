package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/consentd/consentd/bench/load"
	"github.com/consentd/consentd/bench/rig"
)

// freshP99 is the goal of DESIGN §6: from the 2xx to queryable.
const freshP99 = time.Second

// acked is one proof the program has answered for.
type acked struct {
	seq uint64
	at  time.Time
}

// seen is one look at ClickHouse: every seq below n was queryable at that moment.
type seen struct {
	at time.Time
	n  uint64
}

// fresh records at a constant rate and watches ClickHouse from outside, so that the figure does not rest on the
// program's own clock; what the program says of itself stands beside it.
func (b *bench) fresh(ctx context.Context) (err error) {
	c, err := rig.New(b.binary, filepath.Join(b.dir, fmt.Sprintf("fresh-%d", time.Now().UnixNano())))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	if err := c.Start(ctx); err != nil {
		return err
	}
	if err := c.AwaitReady(ctx); err != nil {
		return err
	}
	shown, err := c.Banner(ctx)
	if err != nil {
		return err
	}
	before, err := c.Metrics(ctx)
	if err != nil {
		return err
	}
	acks, looks, s, err := b.steadily(ctx, c, shown)
	if err != nil {
		return err
	}
	after, err := c.Metrics(ctx)
	if err != nil {
		return err
	}
	b.addFresh(acks, looks, s, after.Minus(before))
	return nil
}

// steadily loads c at the rate, until every proof it acknowledged is queryable.
func (b *bench) steadily(ctx context.Context, c *rig.Consentd, shown *rig.Shown) (all []acked, looks []seen, s sample, err error) {
	w, err := c.Warehouse()
	if err != nil {
		return nil, nil, s, err
	}
	defer w.Close()
	acks := make([][]acked, b.workers)
	for i := range acks {
		acks[i] = make([]acked, 0, int(b.rate*(b.steady+b.warm).Seconds())/b.workers+1)
	}
	t := edge("record at a constant rate", c, rig.NewChoice("/v1/sites/"+rig.Site+"/consents", c.Addr.String(), shown).Request, 201)
	o := load.Options{Conns: b.conns, Workers: b.workers, Rate: b.rate, OnAnswer: func(worker int, at time.Time, body []byte) {
		if seq, ok := seqOf(body); ok {
			acks[worker] = append(acks[worker], acked{seq, at})
		}
	}}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	var watch sync.WaitGroup
	var watchErr error
	watch.Go(func() {
		const forever = 1 << 62
		watchErr = rig.AwaitArrived(watching, w, forever, 10*time.Millisecond, time.Hour, func(at time.Time, n uint64) {
			looks = append(looks, seen{at, n})
		})
	})
	length := b.length
	b.length = b.steady
	s, err = b.measure(ctx, t, o)
	b.length = length
	var total uint64
	for _, part := range acks {
		all = append(all, part...)
	}
	for _, a := range all {
		total = max(total, a.seq+1)
	}
	if err == nil {
		err = rig.AwaitArrived(ctx, w, total, 10*time.Millisecond, time.Minute, func(time.Time, uint64) {})
	}
	looks = slices.Clip(looks)
	stop()
	watch.Wait()
	if err == nil && !errors.Is(watchErr, context.Canceled) && !errors.Is(watchErr, rig.ErrSlow) {
		err = watchErr
	}
	return all, append(looks, seen{time.Now(), total}), s, err
}

// seqOf reads the seq of a recorded choice's answer.
func seqOf(body []byte) (uint64, bool) {
	_, rest, found := bytes.Cut(body, []byte(`"seq":`))
	end := bytes.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if !found || end < 1 {
		return 0, false
	}
	seq, err := strconv.ParseUint(string(rest[:end]), 10, 64)
	return seq, err == nil
}

// waits gives, for every proof, the time from its acknowledgement to the first look that found it: too long by
// up to the pause between two looks, never too short. A proof found before its answer was read waited 0.
func waits(acks []acked, looks []seen) *load.Histogram {
	h := &load.Histogram{}
	for _, a := range acks {
		i, _ := slices.BinarySearchFunc(looks, a.seq+1, func(s seen, n uint64) int {
			if s.n < n {
				return -1
			}
			return 1
		})
		if i < len(looks) {
			h.Record(looks[i].at.Sub(a.at))
		}
	}
	return h
}

func (b *bench) addFresh(acks []acked, looks []seen, s sample, own rig.Metrics) {
	h := waits(acks, looks)
	got := h.Quantile(0.99)
	held := float64(s.Answered) / b.steady.Seconds() // not over Elapsed: the last answers come after the last request
	b.add(row{
		what: "from the 2xx to queryable, p99", goal: fmt.Sprintf("≤ %v at %s/s", freshP99, thousands(b.rate)),
		measured: fmt.Sprintf("%s at %s/s", milliseconds(got), thousands(held)), ratio: fmt.Sprintf("%.2f", got.Seconds()/freshP99.Seconds()),
		verdict: atMost(freshP99.Seconds(), got.Seconds()), latency: latencies(h),
		micros: fmt.Sprintf("%.1f, ClickHouse %.1f", s.perRequest(s.spent.Server), s.perRequest(s.spent.Engine)), shares: shares(s.spent),
	})
	b.add(row{what: "… record at that rate", measured: thousands(held) + "/s", latency: latencies(&s.Latency)})
	if err := s.Clean(); err != nil {
		b.note("record at a constant rate: %v", err)
	}
	if p99, ok := own.Quantile(ownFreshness, `stream="proofs"`, 0.99); ok {
		b.note("%s, the age of the oldest row of a batch when it became queryable, has its p99 at or below %v s", ownFreshness, p99)
	} else {
		b.note("the program reported no %s", ownFreshness)
	}
}

// ownFreshness is the program's own measure, from storage/drain.
const ownFreshness = "consentd_drain_freshness_seconds"
