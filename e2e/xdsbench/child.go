package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// child is a server's process, seen from the swarm.
type child struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	socket string
}

// spawn starts a server's process and waits until it answers.
func (o options) spawn(ctx context.Context, dir, kind string, routes int) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{socket: filepath.Join(dir, fmt.Sprintf("%s-%d.sock", kind, routes))}
	c.cmd = exec.CommandContext(ctx, self, "-role=server", "-kind="+kind, fmt.Sprintf("-routes=%d", routes), "-socket="+c.socket, "-profile="+o.profile)
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	_, err = c.tell("usage")
	return c, err
}

// tell has the process do something, and gives its usage after.
func (c *child) tell(line string) (usage, error) {
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		return usage{}, err
	}
	answer, err := c.out.ReadBytes('\n')
	if err != nil {
		return usage{}, fmt.Errorf("%s: %w", line, err)
	}
	var u usage
	return u, json.Unmarshal(answer, &u)
}

// end closes the process' input, which ends it.
func (c *child) end() {
	_ = c.in.Close()
	_ = c.cmd.Wait() // it has said what was wrong
	_ = os.Remove(c.socket)
}

// pause lets what is under way come to an end.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
