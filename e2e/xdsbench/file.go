package main

import (
	"context"
	"time"
)

// fromFile is how long a manifest takes to a proxy.
type fromFile struct {
	routes   int
	p50, p99 time.Duration
}

func (o options) measureFile(context.Context, string, int) (fromFile, error) { return fromFile{}, nil }
