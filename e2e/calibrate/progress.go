package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// progress says now and then how far the calibration is.
type progress struct {
	out         io.Writer
	experiments int
	began, said time.Time

	mu   sync.Mutex
	at   int // experiment, from 1
	of   experiment
	done int
}

// often is how seldom progress is said.
const often = 10 * time.Second

func newProgress(out io.Writer, experiments int) *progress {
	return &progress{out: out, experiments: experiments, began: time.Now(), said: time.Now()}
}

// next begins an experiment.
func (p *progress) next(e experiment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.of, p.done = p.at+1, e, 0
}

// ran says that a run is done.
func (p *progress) ran() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	if now := time.Now(); now.Sub(p.said) >= often {
		p.said = now
		fmt.Fprintf(p.out, "%s so far: %d of %d experiments, in this one %d of %d runs (%s: %s)\n",
			now.Sub(p.began).Round(time.Second), p.at, p.experiments, p.done, p.of.runs, p.of.table, p.of.what)
	}
}
