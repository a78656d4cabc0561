package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/config"
)

// Period is how often a Controller of a Manager ticks.
const Period = 50 * time.Millisecond

// listenPeriod is how often a Manager asks whether its proxies still report.
const listenPeriod = 500 * time.Millisecond

// answerTime is how long a verb may wait for its answer.
const answerTime = time.Second

// Errors that callers tell apart.
var (
	// ErrNoRoute says that no such inference route is configured.
	ErrNoRoute = errors.New("no such inference route")
	// ErrBusy says that a verb was not answered in time. It may yet be decided.
	ErrBusy = errors.New("not answered in time")
)

// ManagerConfig is what a Manager needs.
type ManagerConfig struct {
	Store     Store
	Publisher Publisher
	Recorder  Recorder // optional
	Notifier  Notifier // optional
	Log       *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Manager runs a Controller per inference route, each in a goroutine of its own.
// Its methods may be used by many goroutines while Run runs.
type Manager struct {
	config ManagerConfig
	starts chan *runner
	done   chan struct{} // closed when Run returns

	mu      sync.RWMutex
	runners map[config.Key]*runner
	pulse   *analysis.Pulse
	silent  map[string]time.Time // as last told
	proxies map[string]bool
	early   map[config.Key]map[string]canary.Resized // of routes that are not there yet
}

// NewManager checks c.
func NewManager(c ManagerConfig) (*Manager, error) {
	if c.Store == nil || c.Publisher == nil {
		return nil, errors.New("controller: Store and Publisher must be given")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Manager{
		config:  c,
		starts:  make(chan *runner),
		done:    make(chan struct{}),
		runners: map[config.Key]*runner{},
		pulse:   analysis.NewPulse(),
		proxies: map[string]bool{},
		early:   map[config.Key]map[string]canary.Resized{},
	}, nil
}

// Run runs every Controller until ctx is done, and waits for them. It runs once.
func (m *Manager) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	defer close(m.done)
	listen := time.NewTicker(listenPeriod)
	defer listen.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case r := <-m.starts:
			running.Go(func() { m.host(ctx, r) })
		case <-listen.C:
			m.listen()
		}
	}
}

// host is the goroutine of a Controller. A route that is withdrawn is so by it: nothing is
// published after that.
func (m *Manager) host(ctx context.Context, r *runner) {
	defer close(r.ended)
	r.run(ctx, m.done)
	if !r.isWithdrawn() {
		return
	}
	last := r.snapshot().State
	m.config.Publisher.Withdraw(last.Route)
	m.dismiss(last.Route, r)
	m.config.Log.Warn("inference route withdrawn: it is no longer configured; its state and reviews are kept",
		"route", last.Route.String(), "stable", last.Stable)
}

// Configure brings a configuration into force, inference route by inference
// route. One that is refused keeps what it had, is named in the error, and holds
// up no other. Routes that are no longer configured are withdrawn first, so that
// another may have their place; what runs of them ends, and their state is
// kept in case they come back. Run must be running.
func (m *Manager) Configure(ctx context.Context, c *config.Config) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	refused := m.withdraw(ctx, c)
	for _, route := range c.Routes {
		if err := m.configure(ctx, c, route); err != nil {
			refused = append(refused, fmt.Errorf("%s: %w", route.Key, err))
		}
	}
	return errors.Join(refused...)
}

// withdraw withdraws the routes that are no longer configured, and waits for that a
// moment: one whose store hangs goes when it can.
func (m *Manager) withdraw(ctx context.Context, c *config.Config) (late []error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTime, ErrBusy)
	defer cancel()
	var going []*runner
	for _, k := range m.keys() {
		if _, ok := c.Route(k); ok {
			continue
		}
		if r := m.find(k); r != nil {
			r.withdraw()
			going = append(going, r)
		}
	}
	for _, r := range going {
		if err := r.gone(ctx, m.done); err != nil && !errors.Is(err, context.Canceled) {
			late = append(late, fmt.Errorf("%s: not withdrawn yet: %w", r.snapshot().State.Route, err))
		}
	}
	return late
}

func (m *Manager) configure(ctx context.Context, c *config.Config, route config.InferenceRoute) error {
	policy, err := policyOf(c, route)
	if err != nil {
		return err
	}
	r, err := m.runner(ctx, route.Key)
	if err != nil {
		return err
	}
	return r.ask(ctx, m.done, func(c *Controller) error {
		return c.Configure(m.config.Now(), route.RouteSpec, policy)
	})
}

// policyOf finds the policy that a route names.
func policyOf(c *config.Config, route config.InferenceRoute) (config.PolicySpec, error) {
	if route.Strategy.Canary == nil && route.Analysis.Policy == "" {
		return config.Standard(), nil
	}
	k := config.Key{Namespace: route.Namespace, Name: route.Analysis.Policy}
	policy, ok := c.Policy(k)
	if !ok {
		return config.PolicySpec{}, fmt.Errorf("spec.analysis.policy: there is no policy %q in namespace %q", k.Name, k.Namespace)
	}
	return policy, nil
}

// runner finds the Controller of a route, or starts one.
func (m *Manager) runner(ctx context.Context, k config.Key) (*runner, error) {
	if r := m.find(k); r != nil {
		if !r.isWithdrawn() {
			return r, nil
		}
		if err := r.gone(ctx, m.done); err != nil {
			return nil, err // or it would yet withdraw what comes back
		}
	}
	c, err := New(Config{
		Key: k, Store: m.config.Store, Publisher: m.config.Publisher,
		Recorder: m.config.Recorder, Notifier: m.config.Notifier, Log: m.config.Log,
	})
	if err != nil {
		return nil, err
	}
	r := m.enlist(k, c)
	select {
	case m.starts <- r:
		return r, nil
	case <-m.done:
		m.dismiss(k, r)
		return nil, context.Canceled
	case <-ctx.Done():
		m.dismiss(k, r)
		return nil, context.Cause(ctx)
	}
}

// enlist gives a Controller its mailbox, and tells it who is connected.
func (m *Manager) enlist(k config.Key, c *Controller) *runner {
	m.mu.Lock()
	defer m.mu.Unlock()
	for proxy := range m.proxies {
		c.Connected(proxy)
	}
	for _, e := range m.early[k] {
		c.Resized(e.At, e.Version, e.Ready, e.Total, e.Fact)
	}
	delete(m.early, k)
	silent := m.silent
	r := newRunner(c, m.config.Now)
	r.mail <- func(c *Controller) { c.Mute(silent) } // an empty mailbox takes it
	m.runners[k] = r
	return r
}

func (m *Manager) find(k config.Key) *runner {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.runners[k]
}

func (m *Manager) keys() []config.Key {
	m.mu.RLock()
	defer m.mu.RUnlock()
	keys := make([]config.Key, 0, len(m.runners))
	for k := range m.runners {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, config.Key.Compare)
	return keys
}

// dismiss forgets a runner.
func (m *Manager) dismiss(k config.Key, r *runner) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.runners[k] == r {
		delete(m.runners, k)
	}
}

// Refuse notes that a newer configuration could not even be read: what is in
// force stays, and every route says why.
func (m *Manager) Refuse(why error) {
	m.each(func(c *Controller) { c.Refuse(why) })
}

// Do performs a verb and gives the decision, refused or not. It answers within a
// second: an error is ErrNoRoute, ErrBusy or ErrNotSaved.
func (m *Manager) Do(ctx context.Context, k config.Key, verb canary.Event) (d canary.Decision, err error) {
	r := m.find(k)
	if r == nil {
		return d, fmt.Errorf("%s: %w", k, ErrNoRoute)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, answerTime, ErrBusy)
	defer cancel()
	answer := make(chan canary.Decision, 1)
	err = r.ask(ctx, m.done, func(c *Controller) error {
		decision, err := c.Handle(verb)
		answer <- decision
		return err
	})
	if err != nil {
		return d, fmt.Errorf("%s: %w", k, err)
	}
	return <-answer, nil
}

// Snapshot gives what is known of an inference route, and whether there is one.
func (m *Manager) Snapshot(k config.Key) (Snapshot, bool) {
	r := m.find(k)
	if r == nil {
		return Snapshot{}, false
	}
	return r.snapshot(), true
}

// Snapshots gives every inference route, sorted by key.
func (m *Manager) Snapshots() []Snapshot {
	var all []Snapshot
	for _, k := range m.keys() {
		if s, ok := m.Snapshot(k); ok {
			all = append(all, s)
		}
	}
	return all
}

// Observe takes requests as their log entries arrive. The slice is the caller's
// again when it returns.
func (m *Manager) Observe(_ string, requests []analysis.Request) {
	now := m.config.Now()
	for k, of := range byRoute(requests, func(r analysis.Request) config.Key { return r.Route }) {
		m.post(k, func(c *Controller) { c.Observe(now, of) })
	}
}

// Report takes a load report of a proxy, of whatever load. The slice is the
// caller's again when it returns.
func (m *Manager) Report(proxy string, loads []analysis.Load) {
	m.mu.Lock()
	m.pulse.Reported(m.config.Now(), proxy)
	m.mu.Unlock()
	for k, of := range byRoute(loads, func(l analysis.Load) config.Key { return l.Route }) {
		m.post(k, func(c *Controller) { c.Report(of) })
	}
}

// listen tells every Controller which proxies have stopped sending load reports,
// or began again.
func (m *Manager) listen() {
	m.mu.Lock()
	silent := m.pulse.Silent(m.config.Now())
	same := maps.Equal(silent, m.silent)
	m.silent = silent
	m.mu.Unlock()
	if !same {
		m.each(func(c *Controller) { c.Mute(silent) })
	}
}

// byRoute copies a batch apart.
func byRoute[T any](batch []T, route func(T) config.Key) map[config.Key][]T {
	apart := map[config.Key][]T{}
	for _, one := range batch {
		k := route(one)
		apart[k] = append(apart[k], one)
	}
	return apart
}

// Measured brings a metric from elsewhere, of a rollout by its id.
func (m *Manager) Measured(k config.Key, rollout string, seen analysis.Measurement) {
	m.post(k, func(c *Controller) { c.Measured(rollout, seen) })
}

// Copied takes the answer to a copied request. It reads it, and waits for nobody: where a
// Controller is behind, log entries come first, and the answer is lost.
func (m *Manager) Copied(answer analysis.Copy) {
	r := m.find(answer.Route)
	if r == nil {
		return
	}
	by := r.reads.Load()
	if by == nil {
		return
	}
	now, gist := m.config.Now(), analysis.GistOf(by, answer)
	r.offer(func(c *Controller) { c.Copied(now, gist) })
}

// Stream says that an access-log stream of a proxy opened or closed.
func (m *Manager) Stream(proxy string, open bool) {
	now := m.config.Now()
	m.each(func(c *Controller) { c.Stream(now, proxy, open) })
}

// Connected says that a proxy came.
func (m *Manager) Connected(proxy string) {
	m.mu.Lock()
	m.proxies[proxy] = true
	m.pulse.Connected(m.config.Now(), proxy)
	m.mu.Unlock()
	m.each(func(c *Controller) { c.Connected(proxy) })
}

// Disconnected says that a proxy left.
func (m *Manager) Disconnected(at time.Time, proxy string) {
	m.mu.Lock()
	delete(m.proxies, proxy)
	m.pulse.Disconnected(proxy)
	m.mu.Unlock()
	m.each(func(c *Controller) { c.Disconnected(at, proxy) })
}

// Acked says that every connected proxy that holds a route has taken the split of
// an epoch, but for those that TimedOut named.
func (m *Manager) Acked(k config.Key, e canary.Acked) {
	m.post(k, func(c *Controller) { c.Acked(e) })
}

// Nacked says that a proxy refused what was sent, in its own words.
func (m *Manager) Nacked(at time.Time, k config.Key, proxy string, epoch uint64, text string) {
	m.post(k, func(c *Controller) { c.Nacked(at, proxy, epoch, text) })
}

// TimedOut says that proxies are no longer waited for.
func (m *Manager) TimedOut(k config.Key, proxies []string) {
	m.post(k, func(c *Controller) { c.TimedOut(proxies) })
}

// Resized says how many endpoints of a version are ready, and what the last one
// that is not said.
// It may be said before the route is configured.
func (m *Manager) Resized(at time.Time, k config.Key, version string, ready, total int, fact string) {
	m.mu.Lock()
	_, there := m.runners[k]
	if !there {
		if m.early[k] == nil {
			m.early[k] = map[string]canary.Resized{}
		}
		m.early[k][version] = canary.Resized{At: at, Version: version, Ready: ready, Total: total, Fact: fact}
	}
	m.mu.Unlock()
	if there {
		m.post(k, func(c *Controller) { c.Resized(at, version, ready, total, fact) })
	}
}

func (m *Manager) post(k config.Key, mail func(*Controller)) {
	if r := m.find(k); r != nil {
		r.post(m.done, mail)
	}
}

func (m *Manager) each(mail func(*Controller)) {
	for _, k := range m.keys() {
		m.post(k, mail)
	}
}
