package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"google.golang.org/grpc"
)

// listen opens host:port, or a unix socket at an absolute path, for its owner
// only. A socket that a killed process left behind is replaced; the caller holds
// the state folder, so nobody listens there.
func listen(address string) (net.Listener, error) {
	if address == "" || address[0] != '/' {
		return net.Listen("tcp", address)
	}
	if err := os.Remove(address); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", address)
	if err != nil {
		return nil, err
	}
	return l, os.Chmod(address, 0o600)
}

// serveGRPC serves until ctx ends, then closes every stream.
func serveGRPC(ctx context.Context, s *grpc.Server, l net.Listener) error {
	stopped := context.AfterFunc(ctx, s.Stop)
	defer stopped()
	if err := s.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("%s: %w", l.Addr(), err)
	}
	return nil
}

// serveHTTP serves until ctx ends, then gives requests under way a second.
func serveHTTP(ctx context.Context, h http.Handler, l net.Listener) error {
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("%s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	err := s.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.Close()
	}
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
