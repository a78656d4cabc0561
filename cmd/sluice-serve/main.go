// Command sluice-serve serves one version of one ONNX model by the Open
// Inference Protocol. It parses flags, wires package server to ONNX Runtime,
// and ends when it is told to. It decides nothing. Start reading at run.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal is not caught: it ends the process
	err := command().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "sluice-serve:", err)
		os.Exit(1)
	}
}
