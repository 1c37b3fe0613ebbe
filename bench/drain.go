package main

import "context"

func (b *bench) drain(ctx context.Context) error { return nil }
