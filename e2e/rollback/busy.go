package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// settling is how long the machine is busy before the first rollout: the load
// average of the last minute follows slowly.
const settling = 75 * time.Second

// spin takes a processor until its standard input ends, as it does when the
// process that started it does.
func spin(in io.Reader) error {
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, in)
		ended <- err
	}()
	for len(ended) == 0 { // to spin is the purpose
	}
	return <-ended
}

// keepBusy starts endless loops as processes of their own, waits until they
// show in the load average, and gives what ends them.
func keepBusy(ctx context.Context, loops int, log io.Writer) (stop func(), err error) {
	var ends []func() error
	stop = func() {
		for _, end := range ends {
			_ = end() // a loop that is gone is ended
		}
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	for range loops {
		cmd := exec.Command(self, "-spin")
		in, err := cmd.StdinPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			stop()
			return nil, err
		}
		ends = append(ends, func() error { return errors.Join(in.Close(), cmd.Wait()) })
	}
	fmt.Fprintf(log, "%d endless loops: the load average gets %v to follow\n", loops, settling)
	if err := pause(ctx, settling); err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

// loadAverage of the last minute, as the machine says it.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	var one string
	if _, err := fmt.Sscan(string(text), &one); err != nil {
		return "unknown"
	}
	return one
}

// pause waits, or says why it did not.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
