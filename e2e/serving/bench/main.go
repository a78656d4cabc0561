// Command bench measures what serving a model costs beside the raw runtime:
// goodput within a deadline at loads below and above the limit, CPU per request,
// and the time the server adds. `make bench-serving` runs it.
//
// # Method
//
// Servers are pinned to one core, the generator to another. Before and after
// each run the raw loop is measured on the servers' core, the others stopped;
// the load offered is a share of that limit, and goodput is divided by the mean
// of both. Arrivals are Poisson, of one seed for all; latency counts from the
// instant that was drawn. Callers give up at the deadline. Every sixteenth answer
// is compared with the raw runtime's: a wrong one fails the benchmark. A run
// counts as fair where the raw loop had two thirds of its core before and after,
// and the limit moved by less than a third.
//
// Start reading at run.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

// options are the command line.
type options struct {
	role             string
	models, systems  string
	loads            string
	seconds          float64
	core, own, tries int
	library, parts   string
	python, binary   string
	rate             float64
	model            string
	deadline         time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	var o options
	flag.StringVar(&o.role, "role", "", "inner: limit or queue, run on the servers' core")
	flag.StringVar(&o.model, "model", "", "inner: the model of that role")
	flag.Float64Var(&o.rate, "rate", 0, "inner: arrivals per second")
	flag.StringVar(&o.models, "models", "magika,mlp", "models to measure")
	flag.StringVar(&o.systems, "systems", "raw-queue,sluice-grpc,sluice-binary,sluice-json,fastapi,kserve-grpc", "systems to measure")
	flag.StringVar(&o.loads, "loads", "0.5,0.8,0.95,1.5", "offered, as shares of the raw limit")
	flag.Float64Var(&o.seconds, "seconds", 2.5, "length of a run")
	flag.IntVar(&o.tries, "tries", 3, "how often a run that others disturbed is measured")
	flag.IntVar(&o.core, "core", 0, "the servers' core")
	flag.IntVar(&o.own, "own", 1, "the generator's core")
	flag.StringVar(&o.library, "library", os.Getenv("ONNXRUNTIME_LIBRARY"), "ONNX Runtime's library")
	flag.StringVar(&o.parts, "parts", ".cache/parts", "folder with the models")
	flag.StringVar(&o.python, "python", ".cache/clients/bin/python", "Python with the peers")
	flag.StringVar(&o.binary, "binary", "bin/sluice-serve", "the server to measure")
	flag.DurationVar(&o.deadline, "deadline", 100*time.Millisecond, "after which an answer is worth nothing")
	flag.Parse()
	err := o.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (o options) run(ctx context.Context) error {
	switch o.role {
	case "limit":
		return o.limitRole(ctx)
	case "queue":
		return o.queueRole(ctx)
	}
	return o.compare(ctx)
}
