// Command sluice-serve serves one model by the Open Inference Protocol. It
// parses flags, wires package server to what runs the model, and ends when it is
// told to. It decides nothing. Start reading at run.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signals, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, drain := context.WithCancel(context.Background())
	// A second signal is not caught and ends the process: the first drain line in
	// the log means that it would.
	context.AfterFunc(signals, func() { stop(); drain() })
	err := command().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "sluice-serve:", err)
		os.Exit(1)
	}
}
