//go:build !linux

package envoy

import (
	"errors"
	"fmt"
)

// peerOf asks the kernel who listens on a unix socket.
func peerOf(socket string) (int, error) {
	return 0, fmt.Errorf("socket %s: who listens: %w", socket, errors.ErrUnsupported)
}
