// Command xdsbench measures how fast one traffic weight reaches many proxies, and
// what it costs, beside what no server can omit. `make bench-xds` runs it.
//
// # Method
//
// A server of each kind runs in a process of its own, so that its processor time
// and memory are its own; a swarm of proxies in this process has one connection
// and one incremental stream each, over a unix socket, and acknowledges at once.
// All serve the same route tables, which xds.Translate made: "raw" marshals an
// edit once and writes the same bytes and a nonce to every stream, "linear" and
// "snapshot" are go-control-plane's caches as they come, "sluice" is xds/ads,
// its translation included. Up to 1,000 proxies all four are up at once and edits
// go round robin, so that what else the machine does meets them alike; above,
// one after the other.
//
// A time runs from just before the server is told to edit (one hop through a
// pipe) until a proxy has read the response with it. The last proxy's is that of
// the slowest in an edit, its median over edits. Processor time is the server's,
// user and system, from before the edit until it has read the last answer.
// Bytes are those of a gRPC message. Memory is the growth of the server's
// resident set per stream, after the edits.
//
// The time from a file to a proxy is measured on a whole `sluice run`: from just
// before a manifest with other weights is renamed into place.
//
// Start reading at measure.
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
	role, kind, socket string
	proxies, routes    string
	kinds              string
	edits              int
	gap                time.Duration
	binary             string
	all                bool
	profile            string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	var o options
	flag.StringVar(&o.role, "role", "", "inner: server")
	flag.StringVar(&o.kind, "kind", "", "inner: of that server")
	flag.StringVar(&o.socket, "socket", "", "inner: of that server")
	flag.StringVar(&o.proxies, "proxies", "1,1000,10000", "sizes of the swarm")
	flag.StringVar(&o.routes, "routes", "1,200", "route tables that each proxy holds")
	flag.StringVar(&o.kinds, "kinds", "raw,linear,snapshot,sluice", "servers to measure")
	flag.IntVar(&o.edits, "edits", 20, "edits of each server, after 3 to warm up; a quarter of them above 1,000 proxies")
	flag.DurationVar(&o.gap, "gap", 100*time.Millisecond, "pause between edits")
	flag.StringVar(&o.binary, "binary", "bin/sluice", "for the time from a file; empty leaves that out")
	flag.BoolVar(&o.all, "all-types", false, "proxies hold clusters, endpoints, scopes and listeners, too (sluice only)")
	flag.StringVar(&o.profile, "profile", "", "folder for the servers' processor profiles")
	flag.Parse()
	err := o.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "xdsbench:", err)
		os.Exit(1)
	}
}

func (o options) run(ctx context.Context) error {
	if o.role == "server" {
		return o.serve(ctx)
	}
	return o.measure(ctx)
}
