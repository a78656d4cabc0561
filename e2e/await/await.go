// Package await lets a test wait for what others do, though not for ever: a test that
// hangs does not say what it waited for, and takes the others of its package with it.
package await

import (
	"testing"
	"time"
)

// Patience is how long a test waits: on a busy machine, too, long enough.
const Patience = time.Minute

// Next gives what comes next out of a channel, and the zero value once that is closed. A
// test to which nothing comes fails with what it waited for.
func Next[T any](t testing.TB, from <-chan T, what string) (next T) {
	t.Helper()
	select {
	case next = <-from:
	case <-time.After(Patience):
		t.Fatalf("%s: not within %v", what, Patience)
	}
	return next
}
