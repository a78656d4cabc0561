package main

import (
	"net"
	"sync"
)

// nowhere is a listener to which nobody can connect: predict asks its server in
// process.
type nowhere struct {
	once   *sync.Once
	closed chan struct{}
}

func newNowhere() nowhere { return nowhere{new(sync.Once), make(chan struct{})} }

func (n nowhere) Accept() (net.Conn, error) { <-n.closed; return nil, net.ErrClosed }
func (n nowhere) Close() error              { n.once.Do(func() { close(n.closed) }); return nil }
func (nowhere) Addr() net.Addr              { return &net.TCPAddr{} }
