// Package cpu is the clock of benchmarks: it tells how much processor time a process took.
package cpu

import (
	"fmt"
	"syscall"
	"time"
)

// Used is the processor time of this process so far.
func Used() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(fmt.Sprintf("getrusage of oneself: %v", err)) // it has no way to fail
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
