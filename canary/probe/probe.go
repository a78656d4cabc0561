// Package probe asks the endpoints of every version whether they are ready, as
// Envoy's own health checks do, so that a version without a ready endpoint gets
// no share. It reports changes and decides nothing.
//
// Start reading at Prober.Run.
package probe

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/sluice-dev/sluice/config"
)

// Readiness says how many endpoints of a version are ready, as far as the proxies are
// sure to know by now: whoever comes back has answered two checks in a row, and whoever
// does not answer has missed two.
type Readiness struct {
	Route   config.Key
	Version string
	Ready   int
	Total   int
	Checked bool   // every endpoint has been asked at least once
	Fact    string // what the last failing endpoint said; empty when all are ready
	At      time.Time
}

// Config of a Prober.
type Config struct {
	// Report hears every change, from the prober's goroutines, one call at a time.
	Report func(Readiness)
	// Interval between checks where a version names none. Default 1s.
	Interval time.Duration
	// Timeout of one check. Default 1s.
	Timeout time.Duration
}

// Prober checks endpoints until its context ends.
type Prober struct {
	config  Config
	client  *http.Client
	configs chan *config.Config
}

// New checks the config and fills its defaults.
func New(c Config) (*Prober, error) {
	if c.Report == nil {
		return nil, fmt.Errorf("probe: Report is nil")
	}
	if c.Interval <= 0 {
		c.Interval = time.Second
	}
	if c.Timeout <= 0 {
		c.Timeout = time.Second
	}
	transport := &http.Transport{DisableKeepAlives: true, Proxy: nil}
	return &Prober{
		config: c,
		client: &http.Client{
			Transport:     transport,
			Timeout:       c.Timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		configs: make(chan *config.Config),
	}, nil
}

// Configure replaces what is checked. It returns when Run has taken it or ctx
// has ended.
func (p *Prober) Configure(ctx context.Context, c *config.Config) error {
	select {
	case p.configs <- c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run checks until ctx ends and waits for every check it started. A version
// that is configured as before keeps its loops and its knowledge.
func (p *Prober) Run(ctx context.Context) error {
	var loops sync.WaitGroup
	defer loops.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()

	tracker := newTracker(p.config.Report)
	running := map[check]context.CancelFunc{}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case c := <-p.configs:
			wanted := checksOf(c, p.config.Interval)
			for ch, cancel := range running {
				if !wanted[ch] {
					cancel()
					delete(running, ch)
				}
			}
			tracker.expect(wanted)
			for ch := range wanted {
				if running[ch] != nil {
					continue
				}
				loopCtx, cancel := context.WithCancel(ctx)
				running[ch] = cancel
				loops.Go(func() { p.loop(loopCtx, ch, tracker) })
			}
		}
	}
}

// loop asks one endpoint at its interval until ctx ends.
func (p *Prober) loop(ctx context.Context, c check, t *tracker) {
	timer := time.NewTicker(c.interval)
	defer timer.Stop()
	for {
		found := p.ask(ctx, c)
		if ctx.Err() != nil {
			return
		}
		t.set(c, found, time.Now())
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
	}
}

// ask checks once.
func (p *Prober) ask(ctx context.Context, c check) answer {
	if c.path == "" {
		dialer := net.Dialer{Timeout: p.config.Timeout}
		conn, err := dialer.DialContext(ctx, "tcp", c.endpoint)
		if err != nil {
			return answer{fact: err.Error()}
		}
		_ = conn.Close() // nothing was sent
		return answer{}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.endpoint+c.path, nil)
	if err != nil {
		return answer{fact: err.Error()}
	}
	response, err := p.client.Do(request)
	if err != nil {
		return answer{fact: err.Error()}
	}
	_ = response.Body.Close() // only the status matters
	if response.StatusCode != http.StatusOK {
		return answer{fmt.Sprintf("GET %s on %s: answered %s", c.path, c.endpoint, response.Status), true}
	}
	return answer{}
}
