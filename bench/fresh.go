package main

import "context"

func (b *bench) fresh(ctx context.Context) error { return nil }
