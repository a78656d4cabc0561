// Command ingest measures what an access-log entry costs the control plane: from the
// gRPC message in which Envoy sends it to the evidence of a rollout, through the same
// server, manager and controller as `sluice run`. Beside it, in the same run, stand
// what only receiving the same messages costs, and what only unmarshalling them does.
// It is no part of the product.
//
// The figure is entries per second of processor time, which a busy machine leaves
// as it is. Entries come from another process, on several streams, as fast as they are
// taken.
//
// Start reading at measure, then plane.go.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

type options struct {
	entries int
	streams int
	profile string

	// Of the sending process.
	socket string
	epoch  uint64
}

func main() {
	var o options
	flag.IntVar(&o.entries, "entries", 6_000_000, "how many entries to send, of a measurement; a tenth of it before, to warm up")
	flag.IntVar(&o.streams, "streams", 4, "how many streams to send them on")
	flag.StringVar(&o.profile, "profile", "", "file for a processor profile of the whole way")
	flag.StringVar(&o.socket, "socket", "", "send to this socket; the role of a process that this one starts")
	flag.Uint64Var(&o.epoch, "epoch", 0, "that the entries carry")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := o.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "ingest:", err)
		os.Exit(1)
	}
}

func (o options) run(ctx context.Context) error {
	if o.socket != "" {
		return send(ctx, o.socket, o.epoch, o.entries, o.streams)
	}
	return o.measureAll(ctx, os.Stdout)
}
