package plane

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary/api"
	"github.com/sluice-dev/sluice/canary/controller"
)

// The full figure is `make soak`.
var (
	soakCycles   = flag.Int("soak.cycles", 2, "promote and rollback cycles of the soak")
	soakRequests = flag.Int64("soak.requests", 1500, "requests of each cycle, at least")
)

// Versions change under load, forth and back, by steps and by verbs, and no request
// fails: short ones over HTTP/1.1 and HTTP/2, and streams that changes come amid.
func TestPromoteAndRollbackCyclesFailNoRequest(t *testing.T) {
	s := newScene(t, "{maxDuration: 10m, minStep: 1s}", "  strategy: {canary: {steps: [{weight: 20%, for: 5m}, {weight: 50%, for: 5m}]}}")
	for _, b := range append(s.v1, s.v2...) {
		b.Config.Handler = model()
	}
	l := startLoad(s.port)
	s.until("an epoch in force", served)
	s.write("v2")
	part := *soakRequests / 4
	acked := func(weight uint32) {
		t.Helper()
		s.until(fmt.Sprintf("v2 at %d", weight), func(now controller.Snapshot) bool {
			return now.State.Published.Weight("v2") == weight && now.State.Acked == now.State.Published.Epoch
		})
		l.await(t, part)
	}
	for range *soakCycles {
		acked(2000)
		s.do("promote", api.Verb{})
		acked(5000)
		s.do("promote", api.Verb{Full: true, OverrideEvidence: true})
		acked(10_000)
		s.do("rollback", api.Verb{})
		acked(0)
		s.do("retry", api.Verb{})
	}
	acked(2000)
	failures := l.stop()
	t.Logf("%d requests and %d whole streams through %d cycles, %d failed", l.requests.Load(), l.streams.Load(), *soakCycles, len(failures))
	require.Empty(t, failures)
	require.Positive(t, l.streams.Load())
}

// model answers at once, or with a stream of twenty events in a second.
func model() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/stream" {
			_, _ = io.WriteString(w, "whole")
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for i := range 20 {
			<-tick.C
			fmt.Fprintf(w, "data: %d\n\n", i)
			if err := http.NewResponseController(w).Flush(); err != nil {
				return
			}
		}
	})
}

// mixedLoad is clients of three kinds, each with one request at a time.
type mixedLoad struct {
	requests, streams atomic.Int64

	done    chan struct{}
	running sync.WaitGroup
	mu      sync.Mutex
	failed  []string
}

func startLoad(port uint32) *mixedLoad {
	l := &mixedLoad{done: make(chan struct{})}
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	for _, kind := range []struct {
		clients int
		http2   bool
		path    string
		whole   func(io.Reader) bool
		count   *atomic.Int64
	}{
		{6, false, "/infer", isWhole, &l.requests},
		{6, true, "/infer", isWhole, &l.requests},
		{4, false, "/stream", isWholeStream, &l.streams},
		{4, true, "/stream", isWholeStream, &l.streams},
	} {
		for range kind.clients {
			protocols := new(http.Protocols)
			protocols.SetHTTP1(!kind.http2)
			protocols.SetUnencryptedHTTP2(kind.http2)
			client := &http.Client{Transport: &http.Transport{Protocols: protocols}}
			l.running.Go(func() {
				defer client.CloseIdleConnections()
				l.ask(client, url+kind.path, kind.whole, kind.count)
			})
		}
	}
	return l
}

// ask asks until the load is stopped.
func (l *mixedLoad) ask(client *http.Client, url string, whole func(io.Reader) bool, count *atomic.Int64) {
	for {
		select {
		case <-l.done:
			return
		default:
		}
		if err := askOnce(client, url, whole); err != nil {
			l.mu.Lock()
			l.failed = append(l.failed, time.Now().Format("15:04:05.000 ")+err.Error())
			l.mu.Unlock()
		}
		count.Add(1)
	}
}

func askOnce(client *http.Client, url string, whole func(io.Reader) bool) error {
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader("{}"))
	if err != nil {
		return err
	}
	req.Host = "filetype.ml"
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s", url, resp.Status)
	case !whole(resp.Body):
		return fmt.Errorf("%s: the answer is not whole", url)
	}
	return nil
}

func isWhole(r io.Reader) bool {
	body, err := io.ReadAll(r)
	return err == nil && string(body) == "whole"
}

func isWholeStream(r io.Reader) bool {
	events := 0
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "data: ") {
			events++
		}
	}
	return lines.Err() == nil && events == 20
}

// await waits for so many more requests.
func (l *mixedLoad) await(t *testing.T, more int64) {
	t.Helper()
	want := l.requests.Load() + more
	require.Eventually(t, func() bool { return l.requests.Load() >= want }, patience, 10*time.Millisecond)
}

func (l *mixedLoad) stop() []string {
	close(l.done)
	l.running.Wait()
	return l.failed
}
