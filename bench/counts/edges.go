package main

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/consentd/consentd/bench/witness"
)

// edges has two edges of one ClickHouse, with the same keys, record the same ids.
func (s *scene) edges(ctx context.Context) (err error) {
	one, err := s.machine("one")
	if err != nil {
		return err
	}
	if err := one.Start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, one.Stop()) }()
	w1, err := witness.New(ctx, one)
	if err != nil {
		return err
	}
	url, err := one.EngineURL()
	if err != nil {
		return err
	}
	two, err := s.machine("two")
	if err != nil {
		return err
	}
	if err := witness.Copy(filepath.Join(two.Data(), "keys"), filepath.Join(one.Data(), "keys")); err != nil {
		return err
	}
	if err := two.Start(ctx, "--edge", "e2", "--clickhouse", url); err != nil {
		return err
	}
	defer func() { err = errors.Join(two.Stop(), err) }()
	w2, err := witness.New(ctx, two)
	if err != nil {
		return err
	}
	if got := w1.Post(ctx, one, s.proofs, conns, patience); got != s.proofs {
		return errRefused
	}
	if err := w2.Repeat(ctx, two, w1.Choices(), conns, patience); err != nil {
		return err
	}
	if got := w2.Post(ctx, two, s.proofs/10, conns, patience); got != s.proofs/10 {
		return errRefused
	}
	all := s.proofs + s.proofs/10
	return errors.Join(
		known(ctx, one, w1, "the first edge"), known(ctx, two, w2, "the second edge"),
		expect(ctx, one, w1, all, "asked on the first edge"), expect(ctx, two, w2, all, "asked on the second edge", "--clickhouse", url))
}
