package controller_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
)

// plane is a control plane without proxies: it keeps what was published.
type plane struct {
	mu        sync.Mutex
	stores    map[config.Key]*memory
	splits    map[config.Key]config.Split
	hosts     map[config.Key][]string
	withdrawn []config.Key
	log       bytes.Buffer
	records   []canary.Decision
	told      controller.Snapshot // with the last of them
	slow      chan struct{}       // saves wait for it, if set
}

func newPlane() *plane {
	return &plane{stores: map[config.Key]*memory{}, splits: map[config.Key]config.Split{}, hosts: map[config.Key][]string{}}
}

func (p *plane) store(k config.Key) *memory {
	if p.stores[k] == nil {
		p.stores[k] = &memory{}
	}
	return p.stores[k]
}

func (p *plane) Load(k config.Key) (canary.Checkpoint, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.store(k).Load(k)
}

func (p *plane) Save(c canary.Checkpoint, made []canary.Decision) error {
	p.mu.Lock()
	slow := p.slow
	p.mu.Unlock()
	if slow != nil {
		<-slow
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.store(c.State.Route).Save(c, made)
}

func (p *plane) Publish(r config.InferenceRoute, s config.Split) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, hosts := range p.hosts {
		if k != r.Key && slices.ContainsFunc(hosts, func(h string) bool { return slices.Contains(r.Hostnames, h) }) {
			return fmt.Errorf("already matched by %s", k)
		}
	}
	p.splits[r.Key], p.hosts[r.Key] = s, r.Hostnames
	return nil
}

func (p *plane) Withdraw(k config.Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.splits, k)
	delete(p.hosts, k)
	p.withdrawn = append(p.withdrawn, k)
}

func (p *plane) Record(d canary.Decision, s controller.Snapshot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.records, p.told = append(p.records, d), s
}

func (p *plane) split(k config.Key) config.Split {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.splits[k]
}

// two inference routes: one under a rollout, one divided by hand.
func twoRoutes() *config.Config {
	versions := []config.Version{{Name: "v1", Endpoints: []string{"a:1"}}, {Name: "v2", Endpoints: []string{"b:1"}}}
	canaried := config.InferenceRoute{Key: config.Key{Namespace: "ml", Name: "a"}}
	canaried.Versions, canaried.Target, canaried.InitialStable = versions, "v2", "v1"
	canaried.Analysis.Policy = config.DefaultPolicy
	canaried.Strategy.Canary = &config.Canary{Steps: []config.Step{{Weight: 50_000}, {Approve: &config.Approve{}}}}
	fixed := config.InferenceRoute{Key: config.Key{Namespace: "ml", Name: "b"}}
	fixed.Versions = versions
	fixed.Strategy.Split = &config.FixedSplit{Weights: map[string]config.Percent{"v1": 900_000, "v2": 100_000}}
	return &config.Config{Routes: []config.InferenceRoute{canaried, fixed}}
}

// managed runs a test with a Manager under virtual time.
func managed(t *testing.T, test func(*testing.T, *controller.Manager, *plane)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := newPlane()
		m, err := controller.NewManager(controller.ManagerConfig{
			Store: p, Publisher: p, Recorder: p, Log: slog.New(slog.NewTextHandler(&p.log, nil)),
		})
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- m.Run(ctx) }()
		test(t, m, p)
		stop()
		require.ErrorIs(t, <-done, context.Canceled)
	})
}

func a() config.Key { return config.Key{Namespace: "ml", Name: "a"} }
func b() config.Key { return config.Key{Namespace: "ml", Name: "b"} }

func alice(why string) canary.By { return canary.By{Actor: "alice", Reason: why} }

func TestAManagerRunsEveryRouteByItself(t *testing.T) {
	managed(t, func(t *testing.T, m *controller.Manager, p *plane) {
		m.Connected("envoy-1")
		require.NoError(t, m.Configure(t.Context(), twoRoutes()))
		require.Equal(t, map[string]uint32{"v1": 9000, "v2": 1000}, map[string]uint32{"v1": p.split(b()).Weight("v1"), "v2": p.split(b()).Weight("v2")})
		require.EqualValues(t, config.WholeSplit, p.split(a()).Weight("v1"))

		m.Resized(time.Now(), a(), "v2", 1, 1, "")
		time.Sleep(time.Second)
		require.EqualValues(t, 500, p.split(a()).Weight("v2"))
		m.Acked(a(), canary.Acked{At: time.Now(), Epoch: p.split(a()).Epoch, Proxies: 1})
		synctest.Wait()
		time.Sleep(time.Second)

		s, ok := m.Snapshot(a())
		require.True(t, ok)
		require.Equal(t, canary.Stepping, s.State.Phase())
		require.Equal(t, []string{"envoy-1"}, s.Proxies)
		require.False(t, s.State.Rollout.Clock.IsZero())
		require.Len(t, m.Snapshots(), 2)
		_, ok = m.Snapshot(config.Key{Name: "c"})
		require.False(t, ok)
	})
}

func TestAVerbIsAnsweredWithinASecond(t *testing.T) {
	managed(t, func(t *testing.T, m *controller.Manager, p *plane) {
		require.NoError(t, m.Configure(t.Context(), twoRoutes()))
		m.Resized(time.Now(), a(), "v2", 1, 1, "")
		synctest.Wait()

		d, err := m.Do(t.Context(), a(), canary.Approved{At: time.Now(), By: alice("looks good"), Hash: "x"})
		require.NoError(t, err)
		require.True(t, d.Refused)
		require.Contains(t, d.Text, "waits for no approval")

		d, err = m.Do(t.Context(), a(), canary.Held{At: time.Now(), By: alice("lunch")})
		require.NoError(t, err)
		require.False(t, d.Refused)
		require.Equal(t, "alice", d.Actor)
		require.Equal(t, "lunch", d.Reason)
		s, _ := m.Snapshot(a())
		require.NotNil(t, s.State.Rollout.Hold, "and shows at once")

		_, err = m.Do(t.Context(), config.Key{Name: "c"}, canary.Held{At: time.Now()})
		require.ErrorIs(t, err, controller.ErrNoRoute)

		// A store that hangs holds the answer back, and the caller is told.
		p.mu.Lock()
		p.slow = make(chan struct{})
		p.mu.Unlock()
		began := time.Now()
		_, err = m.Do(t.Context(), a(), canary.Resumed{At: time.Now(), By: alice("back")})
		require.ErrorIs(t, err, controller.ErrBusy)
		require.Equal(t, time.Second, time.Since(began))
		close(p.slow)
	})
}

func TestAnAbortReachesTheProxiesBeforeTheStore(t *testing.T) {
	managed(t, func(t *testing.T, m *controller.Manager, p *plane) {
		require.NoError(t, m.Configure(t.Context(), twoRoutes()))
		m.Resized(time.Now(), a(), "v2", 1, 1, "")
		time.Sleep(100 * time.Millisecond)
		require.EqualValues(t, 500, p.split(a()).Weight("v2"))
		p.mu.Lock()
		p.slow = make(chan struct{})
		p.mu.Unlock()
		_, err := m.Do(t.Context(), a(), canary.Aborted{At: time.Now(), By: alice("now")})
		require.ErrorIs(t, err, controller.ErrBusy, "it is not saved yet")
		require.Zero(t, p.split(a()).Weight("v2"), "but it is done")
		close(p.slow)
		synctest.Wait()
		s, _ := m.Snapshot(a())
		require.Equal(t, canary.CauseAborted, s.State.History[0].Cause)
	})
}

func TestOneRefusedRouteHoldsUpNoOther(t *testing.T) {
	managed(t, func(t *testing.T, m *controller.Manager, p *plane) {
		require.NoError(t, m.Configure(t.Context(), twoRoutes()))
		edited := twoRoutes()
		edited.Routes[0].Versions = edited.Routes[0].Versions[:1]
		edited.Routes[1].Strategy.Split = &config.FixedSplit{Weights: map[string]config.Percent{"v1": 1_000_000}}
		err := m.Configure(t.Context(), edited)
		require.ErrorContains(t, err, `ml/a: spec.versions: "v2" is in a rollout and cannot be removed`)
		require.EqualValues(t, config.WholeSplit, p.split(b()).Weight("v1"))
		s, _ := m.Snapshot(a())
		require.Contains(t, s.Refusal, "cannot be removed")

		unread := errors.New("sluice.yaml: line 3: is not YAML")
		m.Refuse(unread)
		synctest.Wait()
		time.Sleep(time.Second)
		s, _ = m.Snapshot(b())
		require.Equal(t, unread.Error(), s.Refusal)

		require.NoError(t, m.Configure(t.Context(), twoRoutes()))
		s, _ = m.Snapshot(b())
		require.Empty(t, s.Refusal)
	})
}

func TestAnEditOfOneRouteCostsTheOthersNothing(t *testing.T) {
	managed(t, func(t *testing.T, m *controller.Manager, p *plane) {
		require.NoError(t, m.Configure(t.Context(), twoRoutes()))
		saved := len(p.store(b()).decisions)
		require.Positive(t, saved)
		edited := twoRoutes()
		edited.Routes[0].Strategy.Canary.Bake++

		require.NoError(t, m.Configure(t.Context(), edited))

		require.Len(t, p.store(b()).decisions, saved)
		s, _ := m.Snapshot(a())
		require.Equal(t, edited.Routes[0].Strategy, s.Route.Strategy)
	})
}

func TestAPolicyThatIsNotThereIsNamed(t *testing.T) {
	managed(t, func(t *testing.T, m *controller.Manager, _ *plane) {
		c := twoRoutes()
		c.Routes[0].Analysis.Policy = "strict"
		err := m.Configure(t.Context(), c)
		require.ErrorContains(t, err, `ml/a: spec.analysis.policy: there is no policy "strict" in namespace "ml"`)
	})
}

func TestSignalsComeToTheRouteTheySpeakOf(t *testing.T) {
	managed(t, func(t *testing.T, m *controller.Manager, p *plane) {
		m.Resized(time.Now(), a(), "v2", 1, 1, "") // the probe may be quicker
		require.NoError(t, m.Configure(t.Context(), twoRoutes()))
		time.Sleep(100 * time.Millisecond)
		epoch := p.split(a()).Epoch
		m.Stream("envoy-1", true)
		request := analysis.Request{Route: a(), Version: "v2", Epoch: epoch, Pod: "b:1", Proxy: "envoy-1", Start: time.Now(), Duration: time.Millisecond, Attempt: 1, Issued: true}
		other := request
		other.Route = b()
		m.Observe("envoy-1", []analysis.Request{request, other, request})
		m.Report("envoy-1", []analysis.Load{{Route: a(), Version: "v2", Proxy: "envoy-1", At: time.Now(), Issued: 2, Succeeded: 2}})
		time.Sleep(time.Second)
		s, _ := m.Snapshot(a())
		require.EqualValues(t, 2, s.Traces[0].Candidate.Requests)
		weight, ok := s.Traces[0].Served[0].Weight()
		require.True(t, ok)
		require.EqualValues(t, config.WholeSplit, weight)
		passages := s.State.Rollout.Passages
		require.False(t, passages[len(passages)-1].Observed.IsZero(), "the epoch was seen in a log entry")

		m.Disconnected(time.Now(), "envoy-1")
		m.Nacked(time.Now(), a(), "envoy-2", epoch, "no")
		m.TimedOut(a(), []string{"envoy-2"})
		time.Sleep(time.Second)
		s, _ = m.Snapshot(a())
		require.Equal(t, "no", s.State.Nack.Text)
		require.Equal(t, []string{"envoy-2"}, s.Stuck)
		s, _ = m.Snapshot(b())
		require.Nil(t, s.State.Nack)
	})
}
