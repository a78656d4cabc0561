package envoy

import (
	"errors"
	"syscall"
)

// peerOf asks the kernel who listens on a unix socket.
func peerOf(socket string) (int, error) {
	c, err := dial(socket)
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }() // nothing was sent
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var peer *syscall.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		peer, failed = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err := errors.Join(err, failed); err != nil {
		return 0, err
	}
	return int(peer.Pid), nil
}
