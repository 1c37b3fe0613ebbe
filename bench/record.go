package main

import "context"

func (b *bench) record(ctx context.Context) error { return nil }
