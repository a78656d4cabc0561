package prom

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

// Rollouts knows what runs, and takes what was measured of it.
type Rollouts interface {
	// Subjects are the rollouts of which something is to be measured now.
	Subjects() []Subject
	// Measured brings a measurement of one of them.
	Measured(s Subject, m analysis.Measurement)
}

// Subject is a rollout whose policy has metrics of its own.
type Subject struct {
	Arms    analysis.Arms
	Rollout string // id
	Epoch   uint64 // of the split in force
	Metrics []config.Metric
}

// Config of a Poller.
type Config struct {
	Rollouts Rollouts
	Client   Client
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Poller measures what rollouts ask for, each metric at its own interval.
type Poller struct {
	Config

	last map[task]time.Time // when it was begun last
	busy map[task]bool
	done chan task
}

// task is one metric of one rollout.
type task struct {
	route   config.Key
	rollout string
	metric  config.MetricName
}

// New checks c.
func New(c Config) (*Poller, error) {
	if c.Rollouts == nil {
		return nil, errors.New("prom: Rollouts must be given")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Poller{Config: c, last: map[task]time.Time{}, busy: map[task]bool{}, done: make(chan task)}, nil
}

const (
	// glance is how often the Poller looks for what is due.
	glance = time.Second
	// answerTime bounds how long a measurement may take.
	answerTime = 10 * time.Second
)

// Run measures until ctx is done, and waits for what is under way. It runs once.
func (p *Poller) Run(ctx context.Context) error {
	ticker := time.NewTicker(glance)
	defer ticker.Stop()
	var measuring sync.WaitGroup
	defer measuring.Wait()
	for {
		p.begin(ctx, &measuring)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case t := <-p.done:
			delete(p.busy, t)
		case <-ticker.C:
		}
	}
}

// begin starts what is due. A metric whose server is slow is asked again when it has
// answered, and holds up no other.
func (p *Poller) begin(ctx context.Context, measuring *sync.WaitGroup) {
	now := p.Now()
	known := map[task]time.Time{}
	for _, s := range p.Rollouts.Subjects() {
		for _, m := range s.Metrics {
			t := task{s.Arms.Route, s.Rollout, m.Name}
			known[t] = p.last[t]
			if m.Prometheus == nil || p.busy[t] || now.Sub(p.last[t]) < m.Prometheus.Interval.D() {
				continue
			}
			known[t], p.busy[t] = now, true
			measuring.Go(func() {
				p.Rollouts.Measured(s, p.measure(ctx, s, m, now))
				select {
				case p.done <- t:
				case <-ctx.Done():
				}
			})
		}
	}
	p.last = known
}

// measure asks for both versions' numbers at one time.
func (p *Poller) measure(ctx context.Context, s Subject, m config.Metric, at time.Time) analysis.Measurement {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	seen := analysis.Measurement{Metric: m.Name, At: at, Epoch: s.Epoch}
	var asking sync.WaitGroup
	for version, of := range map[string]*analysis.Measured{s.Arms.Stable: &seen.Stable, s.Arms.Candidate: &seen.Candidate} {
		ask := func(query string, into *analysis.Reading) {
			if query == "" {
				return
			}
			asking.Go(func() {
				*into = p.Client.Read(ctx, Question{
					Server: m.Prometheus.URL, Query: filled(query, s.Arms.Route, version), At: at, Stale: m.Prometheus.Stale.D(),
				})
			})
		}
		ask(m.Prometheus.Bad, &of.Bad)
		ask(m.Prometheus.Total, &of.Total)
		ask(m.Prometheus.Value, &of.Value)
	}
	asking.Wait()
	return seen
}

// filled puts the names in. They are DNS labels, and need no quoting.
func filled(query string, route config.Key, version string) string {
	return strings.NewReplacer("$version", version, "$namespace", route.Namespace, "$name", route.Name).Replace(query)
}
