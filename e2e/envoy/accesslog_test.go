package envoy

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

// client is how a client behaves.
type client struct {
	leaves time.Duration // after so long
	stalls bool          // never sends all of its body
	http2  bool
}

// ask sends a request. What comes of it is for Envoy to say.
func (c client) ask(url string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	if c.leaves > 0 {
		ctx, cancel = context.WithTimeout(ctx, c.leaves)
	}
	defer cancel()
	var body io.Reader = strings.NewReader("a request")
	if c.stalls {
		read, write := io.Pipe()
		context.AfterFunc(ctx, func() { write.CloseWithError(io.ErrUnexpectedEOF) })
		body = read
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	if err != nil {
		panic(err)
	}
	if strings.Contains(url, "/grpc/") {
		req.Header.Set("content-type", "application/grpc")
		req.Header.Set("te", "trailers")
	}
	transport := &http.Transport{DisableKeepAlives: true, Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(!c.http2)
	transport.Protocols.SetUnencryptedHTTP2(c.http2)
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
}

// Every way in which a request can end, sent several times at once: its entries
// tell of each attempt once, and of the request once where there was none; what
// they count as issued is what the load reports count.
func TestEveryEndingIsAttributedExactly(t *testing.T) {
	const (
		succeeded, failed, timedOut = analysis.Succeeded, analysis.Failed, analysis.TimedOut
		fault, abandoned            = analysis.ClientFault, analysis.Abandoned
	)
	first := func(version string, o analysis.Outcome) told { return told{version, 1, false, o, true} }
	unissued := func(version string) told { return told{version, 1, false, failed, false} }
	again := func(version string, o analysis.Outcome) told { return told{version, 2, false, o, true} }
	mirrored := func(version string, o analysis.Outcome) told { return told{version, 1, true, o, true} }
	leaves := client{leaves: 150 * time.Millisecond} // long before a time-out of the paths that are left
	stories := []struct {
		path   string
		client client
		want   []told
	}{
		{"/v2/", client{}, []told{first("v2", succeeded)}},
		{"/v2/", client{http2: true}, []told{first("v2", succeeded)}},
		{"/v2/?v2=503", client{}, []told{first("v2", failed)}},
		{"/v2/?v2=429", client{}, []told{first("v2", fault)}},
		{"/v2/?v2=close", client{}, []told{first("v2", failed)}},
		{"/v2/?v2=break", client{}, []told{first("v2", timedOut)}},
		{"/v2/?v2=hang", client{}, []told{first("v2", timedOut)}},
		{"/v2/?v2=drip", client{}, []told{first("v2", timedOut)}},
		{"/left/?v2=hang", leaves, []told{first("v2", abandoned)}},
		{"/left/?v2=drip", leaves, []told{first("v2", abandoned)}},
		{"/left/?v2=hang", client{http2: true, leaves: leaves.leaves}, []told{first("v2", abandoned)}},
		{"/idle/", client{stalls: true}, []told{first("v2", fault)}},
		{"/idle/?v2=hang", client{}, []told{first("v2", timedOut)}},
		{"/left/", client{stalls: true, leaves: leaves.leaves}, []told{first("v2", abandoned)}},
		{"/dead/", client{}, []told{unissued("dead")}},
		{"/empty/", client{}, []told{{"empty", 0, false, failed, false}}},
		{"/ghost/", client{}, []told{{"ghost", 0, false, failed, false}}},
		{"/tight/", client{}, []told{unissued("tight")}},
		{"/grpc/?trailers=0", client{http2: true}, []told{first("v3", succeeded)}},
		{"/grpc/?trailers=14", client{http2: true}, []told{first("v3", failed)}},
		{"/grpc/?trailers=5", client{http2: true}, []told{first("v3", fault)}},
		{"/grpc/?headers=13", client{http2: true}, []told{first("v3", failed)}},
		{"/grpc/?headers=3", client{http2: true}, []told{first("v3", fault)}},
		{"/mirror/", client{}, []told{first("v1", succeeded), mirrored("v2", succeeded)}},
		{"/mirror/?v2=503", client{}, []told{first("v1", succeeded), mirrored("v2", failed)}},
		{"/mirror/?v2=hang", client{}, []told{first("v1", succeeded), mirrored("v2", timedOut)}},
		{"/mirror/?v2=close", client{}, []told{first("v1", succeeded), mirrored("v2", failed)}},
		{"/mirror/?v1=503", client{}, []told{first("v1", failed), mirrored("v2", succeeded)}},
		{"/mirror-left/?v1=hang", leaves, []told{first("v1", abandoned), mirrored("v2", succeeded)}},
		{"/mirror-left/?v1=hang&v2=hang", leaves, []told{first("v1", abandoned), mirrored("v2", timedOut)}},
		{"/mirror-left/", client{stalls: true, leaves: leaves.leaves}, []told{first("v1", abandoned), mirrored("v2", abandoned)}},
		{"/mirror-dead/", client{}, []told{first("v1", succeeded), {"dead", 1, true, failed, false}}},
		{"/mirror-tight/", client{}, []told{first("v1", succeeded), {"tight", 1, true, failed, false}}},
		{"/retry/", client{}, []told{first("v2", succeeded)}},
		{"/retry/?v2=503", client{}, []told{first("v2", failed), again("v1", succeeded)}},
		{"/retry/?v2=503&v1=503", client{}, []told{first("v2", failed), again("v1", failed)}},
		{"/retry/?v2=close", client{}, []told{first("v2", failed), again("v1", succeeded)}},
		{"/retry-left/?v2=hang", leaves, []told{first("v2", abandoned)}},
		{"/retry-try/?v2=hang", client{}, []told{first("v2", timedOut), again("v1", succeeded)}},
		{"/retry-dead/", client{}, []told{unissued("dead"), again("v1", succeeded)}},
		{"/retry-empty/?v2=503", client{}, []told{first("v2", failed)}},
		{"/retry-spent/?v2=503", client{}, []told{first("spent", failed)}},
		{"/nowhere", client{}, nil},
	}
	ledger := newLogLedger(config.Key{Namespace: "ml", Name: "m"})
	logs, reports := listenOn(t, "127.0.0.1:0"), listenOn(t, "127.0.0.1:0")
	serveLogs(t, ledger, logs)
	serveLogs(t, ledger, reports)
	url := attemptsEnvoy(t, logs.Addr(), reports.Addr())

	// Envoy leaves out the first report of a cluster that is new to it.
	ledger.await(t, "reports of all versions", func() bool { return len(ledger.issued) == 7 })

	const times = 6
	want := map[told]int{}
	var asking sync.WaitGroup
	for _, s := range stories {
		for range times {
			asking.Go(func() { s.client.ask(url + s.path) })
		}
		asking.Wait()
		for _, w := range s.want {
			want[w] += times
		}
	}
	t.Logf("%d requests", times*len(stories))
	ledger.awaitTold(t, total(want))
	require.Equal(t, lines(want), lines(ledger.told))
	ledger.await(t, "a report of every attempt", ledger.agreed)
	require.Equal(t, map[uint64]int{17: total(want)}, ledger.epochs)
	require.Empty(t, ledger.gaps)
}

// What the control plane publishes is logged so that its own log server can tell
// the arms, the epochs, the pods and the mirrored copies apart.
func TestWhatIsPublishedIsAttributed(t *testing.T) {
	s := NewStage(t)
	ledger := newLogLedger(filetype)
	s.tell(ledger)
	cfg := twoVersions(t, s, filetype, "filetype.ml")
	for i, name := range []string{"v1", "v2"} {
		cfg.Routes[0].Versions[i].Endpoints = []string{Server(t, misbehave(name)), Server(t, misbehave(name))}
	}
	s.Publish(cfg, map[config.Key]config.Split{filetype: {
		Epoch: 5, Shares: config.Whole("v1"), Mirror: config.Share{Version: "v2", Weight: config.WholeSplit},
	}})
	s.Acked(filetype, 5)
	// Envoy leaves out the first report of a cluster that is new to it.
	ledger.await(t, "reports of both versions", func() bool { return len(ledger.issued) == 2 })
	const requests = 200
	ask := func(query string) {
		for range requests / 4 {
			resp, _ := s.Get("filetype.ml", "/"+query)
			resp.Body.Close()
		}
	}
	ask("")
	ask("?v1=503")
	ask("?v1=429&v2=503")
	ask("?v2=close")
	want := map[told]int{
		{"v1", 1, false, analysis.Succeeded, true}:   requests / 2,
		{"v1", 1, false, analysis.Failed, true}:      requests / 4,
		{"v1", 1, false, analysis.ClientFault, true}: requests / 4,
		{"v2", 1, true, analysis.Succeeded, true}:    requests / 2,
		{"v2", 1, true, analysis.Failed, true}:       requests / 2,
	}
	ledger.awaitTold(t, 2*requests)
	require.Equal(t, lines(want), lines(ledger.told))
	require.Equal(t, map[uint64]int{5: 2 * requests}, ledger.epochs)
	require.Len(t, ledger.pods, 4)
	ledger.await(t, "a report of every attempt", ledger.agreed)
	require.Empty(t, ledger.gaps)
}

// Envoy keeps nothing for a log server that is away, and its own counters call
// what it threw away delivered.
func TestALogServerThatWasAwayLeavesAGapOfItsSize(t *testing.T) {
	ledger := newLogLedger(config.Key{Namespace: "ml", Name: "m"})
	logs, reports := listenOn(t, "127.0.0.1:0"), listenOn(t, "127.0.0.1:0")
	stop := serveLogs(t, ledger, logs)
	serveLogs(t, ledger, reports)
	url := attemptsEnvoy(t, logs.Addr(), reports.Addr())
	ledger.await(t, "reports of all versions", func() bool { return len(ledger.issued) == 7 })
	load := startSteadyLoad(url+"/v2/", 4)
	ledger.await(t, "reports and entries", func() bool { return ledger.issued["v2"] > 0 && ledger.toldIssued()["v2"] > 200 })
	require.Empty(t, ledger.gaps)

	stop()
	before := load.answered.Load()
	ledger.await(t, "the break", func() bool { return len(ledger.gaps) > 0 && ledger.gaps[0].Cause == analysis.CauseBroken })
	ledger.await(t, "two more reports", ledger.moreReports(2))
	serveLogs(t, ledger, listenOn(t, logs.Addr().String()))
	told := ledger.toldIssued()["v2"]
	ledger.await(t, "entries again", func() bool { return ledger.toldIssued()["v2"] > told })
	lostAtMost := int(load.answered.Load()-before) + 200

	ledger.awaitAll(t, load)
	lost := int(load.answered.Load()) - ledger.toldIssued()["v2"]
	t.Logf("%d requests answered, all of them reported, %d without an entry; gaps: %v", load.answered.Load(), lost, lastOfEach(ledger.gaps))
	require.Equal(t, int(load.answered.Load()), ledger.issued["v2"], "load reports lose nothing")
	require.Positive(t, lost)
	require.LessOrEqual(t, lost, lostAtMost)
	missing := int64(0)
	for _, g := range lastOfEach(ledger.gaps) {
		missing += g.Missing
	}
	// At least so many: on a busy machine, what ends about the time of a report may hide some.
	require.InDelta(t, 0.8*float64(lost), missing, 0.3*float64(lost))
}

// A control plane that was away for logs and reports alike is told by the reports
// what it missed, and notices that the entries of it never came.
func TestAControlPlaneThatWasAwayNoticesWhatItMissed(t *testing.T) {
	s := NewStage(t)
	ledger := newLogLedger(filetype)
	stop := s.tell(ledger)
	s.Publish(twoVersions(t, s, filetype), splitOf(filetype, 5, config.Whole("v1")))
	s.Acked(filetype, 5)
	ledger.await(t, "reports of both versions", func() bool { return len(ledger.issued) == 2 })
	load := startSteadyLoad(fmt.Sprintf("http://127.0.0.1:%d/", s.Port), 4)
	ledger.await(t, "reports and entries", func() bool { return ledger.issued["v1"] > 0 && ledger.toldIssued()["v1"] > 200 })
	require.Empty(t, ledger.gaps)

	stop()
	before := load.answered.Load()
	s.Eventually("requests meanwhile", func() bool { return load.answered.Load() > before+500 })
	s.tell(ledger)
	ledger.await(t, "the gap", func() bool { return len(ledger.gaps) > 0 })
	ledger.awaitAll(t, load)
	lost := int(load.answered.Load()) - ledger.toldIssued()["v1"]
	t.Logf("%d requests answered, %d without an entry; gaps: %v", load.answered.Load(), lost, lastOfEach(ledger.gaps))
	require.Equal(t, int(load.answered.Load()), ledger.issued["v1"], "load reports lose nothing")
	require.GreaterOrEqual(t, lost, 400)
}

// awaitAll waits until no gap is open, ends the load, and waits for what is still on its way.
func (l *logLedger) awaitAll(t *testing.T, load *steadyLoad) {
	t.Helper()
	l.await(t, "the end of the gap", func() bool {
		_, is := l.tally.Gap(time.Now())
		return !is
	})
	load.stop()
	l.await(t, "what is still on its way", l.moreReports(2))
}

// total is of how many attempts was told.
func total(m map[told]int) (n int) {
	for _, times := range m {
		n += times
	}
	return n
}

// lines makes a difference readable.
func lines(m map[told]int) (lines []string) {
	for t, n := range m {
		lines = append(lines, fmt.Sprintf("%+v: %d", t, n))
	}
	slices.Sort(lines)
	return lines
}

// lastOfEach is how each gap was seen last.
func lastOfEach(gaps []analysis.Gap) (last []analysis.Gap) {
	for i, g := range gaps {
		again := func(o analysis.Gap) bool { return o.From.Equal(g.From) && o.Version == g.Version && o.Cause == g.Cause }
		if !slices.ContainsFunc(gaps[i+1:], again) {
			last = append(last, g)
		}
	}
	return last
}

// steadyLoad is clients that each send a hundred requests a second, one at a time.
type steadyLoad struct {
	answered atomic.Int64
	done     chan struct{}
	running  sync.WaitGroup
}

func startSteadyLoad(url string, clients int) *steadyLoad {
	l := &steadyLoad{done: make(chan struct{})}
	for range clients {
		l.running.Go(func() {
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-l.done:
					return
				case <-tick.C:
				}
				if resp, err := http.Get(url); err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					l.answered.Add(1)
				}
			}
		})
	}
	return l
}

func (l *steadyLoad) stop() {
	close(l.done)
	l.running.Wait()
}
