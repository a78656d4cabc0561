package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-dev/sluice/serving"
	"github.com/sluice-dev/sluice/serving/sketch"
)

// Generation is a model as it is served: what Swap replaces.
type Generation struct {
	Version string // in the protocol's paths and answers
	Digest  string // of the model's file, shown in its metadata. Optional
	Backend Backend
	Memory  int64 // bytes that the model is known to take; 0: not known
}

// generation is a Generation in use.
type generation struct {
	version, digest string
	backend         Backend
	signature       serving.Signature
	memory          int64
	metrics         *metrics

	use     sync.RWMutex // held for reading by runs
	retired bool

	mu     sync.Mutex
	output int            // whose scores are sketched
	scores *sketch.Sketch // nil where no output looks like scores
}

func newGeneration(g Generation) *generation {
	own := &generation{
		version: g.Version, digest: g.Digest, backend: g.Backend, signature: g.Backend.Signature(), memory: g.Memory,
	}
	for i, o := range own.signature.Outputs {
		if classes := classesOf(o); own.scores == nil && classes > 0 {
			own.output = i
			own.scores, _ = sketch.New(classes) // at least 2, by classesOf
		}
	}
	return own
}

// mostClasses is how many a sketch may have: with more, rows are hardly classes.
const mostClasses = 4096

// classesOf is the number of classes of an output that looks like a row of
// scores per item; 0 for others.
func classesOf(o serving.Spec) int {
	if o.Datatype != serving.FP32 || len(o.Shape) != 2 || o.Shape[1] < 2 || o.Shape[1] > mostClasses {
		return 0
	}
	return int(o.Shape[1])
}

// enter keeps the backend open until leave. It is false once it is closed.
func (g *generation) enter() bool {
	g.use.RLock()
	if g.retired {
		g.use.RUnlock()
		return false
	}
	return true
}

func (g *generation) leave() { g.use.RUnlock() }

// retire waits for runs under way and closes the backend.
func (g *generation) retire() error {
	g.use.Lock()
	defer g.use.Unlock()
	g.retired = true
	if c, ok := g.backend.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// sketch adds an answer's scores.
func (g *generation) sketch(outputs []serving.Tensor) {
	if g.scores == nil || g.output >= len(outputs) || outputs[g.output].Datatype != serving.FP32 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.scores.Add(outputs[g.output].Data)
}

// sketched is a copy of the sketch; nil if there is none.
func (g *generation) sketched() *sketch.Sketch {
	if g.scores == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	merged, _ := sketch.New(len(g.scores.Classes))
	_ = merged.Merge(g.scores) // of the same classes
	return merged
}

// sweepRuns is how often a warm-up runs every batch size: the first run may
// allocate, and one of the others may be disturbed.
const sweepRuns = 3

// warm runs batch sizes up to the limit, the largest first, so that what grows
// on first use has grown before anything is measured. Every slot runs once.
func (g *generation) warm(ctx context.Context, c Config, ran func(rows int, s serving.Spent)) (serving.Sweep, error) {
	var sweep serving.Sweep
	for slot := range c.Slots {
		if _, err := g.warmOne(ctx, slot, c.MaxBatch, c.Shaping); err != nil {
			return sweep, err
		}
	}
	for range sweepRuns {
		for _, rows := range sweep.Sizes(c.MaxBatch, c.Sizes) {
			took, err := g.warmOne(ctx, 0, rows, c.Shaping)
			if err != nil {
				return sweep, err
			}
			sweep.Observe(rows, took)
			ran(rows, serving.Spent{Device: took})
		}
	}
	return sweep, nil
}

func (g *generation) warmOne(ctx context.Context, slot, rows int, shaping serving.Shaping) (time.Duration, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	began := time.Now()
	if _, err := g.compute(ctx, slot, shaping.Sample(g.signature, rows)); err != nil {
		err = fmt.Errorf("batch of %d: %w", rows, err)
		if unknown := shaping.Unpadded(g.signature); len(unknown) > 0 {
			err = fmt.Errorf("%w (with 1 for %s: --pad says what to run instead)", err, strings.Join(unknown, ", "))
		}
		return 0, err
	}
	return time.Since(began), nil
}

// Swap serves another generation instead of the present one, once it is warm:
// requests go to the old one until then. The old one's backend is closed, if it
// is an io.Closer, after its last run. A generation with another signature is
// refused, for clients were told the present one. On an error the present one
// stays, and the new one is the caller's to close.
func (s *Server) Swap(ctx context.Context, next Generation) error {
	if next.Version == "" || next.Backend == nil {
		return errors.New("generation: version and backend: missing")
	}
	g, old := newGeneration(next), s.engine.backend.Load()
	if !reflect.DeepEqual(g.signature, old.signature) {
		return fmt.Errorf("version %q: signature is %v, found %v", next.Version, old.signature, g.signature)
	}
	began := time.Now()
	sweep, err := g.warm(ctx, s.config, func(int, serving.Spent) {})
	if err != nil {
		return fmt.Errorf("version %q: warm-up: %w", next.Version, err)
	}
	s.measure(g, old, time.Since(began))
	s.engine.backend.Store(g)
	s.engine.ask(func(time.Time) { s.engine.batcher.Swept(sweep) })
	s.config.Logger.Info("swapped", "from", old.version, "to", g.version, "digest", g.digest)
	if err := old.retire(); err != nil {
		return fmt.Errorf("version %q is served, but version %q: %w", g.version, old.version, err)
	}
	return nil
}

// measure gives a generation metrics of its own, and shows them. Those of the
// one before stay, for its last requests to be seen.
func (s *Server) measure(g, old *generation, warmUp time.Duration) {
	if g.metrics = old.metrics; g.version != old.version {
		g.metrics = newMetrics(s.config.Model, g.version)
		old.metrics.pending.Set(0)
		s.shown.Store(&prometheus.Gatherers{s.process, old.metrics.registry, g.metrics.registry})
	}
	g.metrics.loaded.Set(warmUp.Seconds())
}
