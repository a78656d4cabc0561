package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"github.com/sluice-dev/sluice/e2e/cpu"
	"github.com/sluice-dev/sluice/serving"
)

// limit is what the raw loop managed.
type limit struct {
	Single  float64 `json:"single"`  // rows per second, one by one
	Batched float64 `json:"batched"` // rows per second, in full batches
	CPU     float64 `json:"cpu"`     // seconds of CPU per row, at the better of both
	Share   float64 `json:"share"`   // of the core
}

func (l limit) best() float64 { return max(l.Single, l.Batched) }

// limitRole runs the model in a bare loop and prints a limit.
func (o options) limitRole(ctx context.Context) error {
	m, raw, err := o.load(o.model)
	if err != nil {
		return err
	}
	loop := func(rows int) (rate, each, share float64, err error) {
		batch := m.batchOf(rows)
		if _, err := raw.Run(ctx, 0, batch); err != nil {
			return 0, 0, 0, err
		}
		began, used, n := time.Now(), cpu.Used(), 0
		for time.Since(began) < 300*time.Millisecond {
			if _, err := raw.Run(ctx, 0, batch); err != nil {
				return 0, 0, 0, err
			}
			n += rows
		}
		took, spent := time.Since(began).Seconds(), (cpu.Used() - used).Seconds()
		return float64(n) / took, spent / float64(n), spent / took, nil
	}
	var l limit
	var cpu1, share1 float64
	if l.Single, cpu1, share1, err = loop(1); err != nil {
		return err
	}
	if l.Batched, l.CPU, l.Share, err = loop(m.batch); err != nil {
		return err
	}
	l.CPU, l.Share = min(l.CPU, cpu1), min(l.Share, share1)
	return json.NewEncoder(os.Stdout).Encode(l)
}

// queueRole is an open loop in one process, without a server: arrivals wait in a
// queue, and the model takes all that wait, up to a batch.
func (o options) queueRole(ctx context.Context) error {
	m, raw, err := o.load(o.model)
	if err != nil {
		return err
	}
	for _, n := range []int{1, m.batch} {
		if _, err := raw.Run(ctx, 0, m.batchOf(n)); err != nil {
			return err
		}
	}
	q := queue{more: make(chan struct{}, 1)}
	var arriving sync.WaitGroup
	began := time.Now()
	used := cpu.Used()
	instants := poisson(o.rate, o.seconds)
	arriving.Go(func() {
		for _, at := range instants {
			time.Sleep(time.Until(began.Add(at)))
			q.put(began.Add(at))
		}
		q.end()
	})
	r := result{Sent: len(instants)}
	end := began.Add(time.Duration(o.seconds*float64(time.Second)) + o.deadline)
	for {
		waiting, ok := q.take(m.batch)
		if !ok || time.Now().After(end) {
			break
		}
		if _, err := raw.Run(ctx, 0, m.batchOf(len(waiting))); err != nil {
			return err
		}
		for _, at := range waiting {
			r.answered(time.Since(at), o.deadline)
		}
	}
	r.CPU = (cpu.Used() - used).Seconds()
	return json.NewEncoder(os.Stdout).Encode(r)
}

type queue struct {
	more chan struct{}

	mu      sync.Mutex
	waiting []time.Time
	ended   bool
}

func (q *queue) put(at time.Time) {
	q.mu.Lock()
	q.waiting = append(q.waiting, at)
	q.mu.Unlock()
	q.wake()
}

func (q *queue) end() {
	q.mu.Lock()
	q.ended = true
	q.mu.Unlock()
	q.wake()
}

func (q *queue) wake() {
	select {
	case q.more <- struct{}{}:
	default:
	}
}

// take waits for arrivals; it is false after the last.
func (q *queue) take(most int) ([]time.Time, bool) {
	for {
		q.mu.Lock()
		n, ended := min(len(q.waiting), most), q.ended
		taken := q.waiting[:n:n]
		q.waiting = q.waiting[n:]
		q.mu.Unlock()
		if n > 0 || ended {
			return taken, n > 0
		}
		<-q.more
	}
}

// poisson draws arrivals of one seed, so that every system gets the same.
func poisson(rate, seconds float64) []time.Duration {
	random := rand.New(rand.NewPCG(11, 11))
	var out []time.Duration
	for at := random.ExpFloat64() / rate; at < seconds; at += random.ExpFloat64() / rate {
		out = append(out, time.Duration(at*float64(time.Second)))
	}
	return out
}

// inner runs a role of this program on the servers' core and reads what it prints.
func (o options) inner(ctx context.Context, role, model string, rate float64, into any) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "taskset", "-c", strconv.Itoa(o.core), self, "-role", role, "-model", model,
		"-rate", fmt.Sprint(rate), "-seconds", fmt.Sprint(o.seconds), "-library", o.library, "-parts", o.parts, "-deadline", o.deadline.String())
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s of %s: %w", role, model, err)
	}
	return json.Unmarshal(out.Bytes(), into)
}

// expect computes every row's answer by the raw runtime.
func (o options) expect(ctx context.Context, name string) (*model, error) {
	m, raw, err := o.load(name)
	if err != nil {
		return nil, err
	}
	for i := range m.rows {
		out, err := raw.Run(ctx, 0, []serving.Tensor{m.tensor(i)})
		if err != nil {
			return nil, err
		}
		m.want = append(m.want, out[0].Data)
	}
	return m, raw.Close()
}
