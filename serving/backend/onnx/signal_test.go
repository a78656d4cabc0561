package onnx

import (
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// action is Linux's struct sigaction, as the system call takes it.
type action struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

const (
	onStack        = 0x08000000 // SA_ONSTACK
	carelessSignal = syscall.SIGUSR2
)

func sigaction(t *testing.T, set, get *action) {
	t.Helper()
	_, _, failed := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(carelessSignal),
		uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(get)), 8, 0, 0)
	require.Zero(t, failed)
}

// TestHandlersKeepTheirStack plays a provider's library that installs a handler
// without an alternate stack, on which Go's threads would die.
func TestHandlersKeepTheirStack(t *testing.T) {
	var before, after action
	sigaction(t, nil, &before)
	require.NotZero(t, before.flags&onStack, "Go's own handler")
	defer sigaction(t, &before, nil)
	careless := before
	careless.flags &^= onStack
	sigaction(t, &careless, nil)

	keepSignalStacks()
	sigaction(t, nil, &after)
	assert.Equal(t, before, after)
}
