package main

import "context"

func (b *bench) killing(ctx context.Context) error { return nil }
