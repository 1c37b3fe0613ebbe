package main

import "context"

func (b *bench) lookup(ctx context.Context) error { return nil }
