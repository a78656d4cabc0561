package main

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
	"github.com/sluice-dev/sluice/xds/ads"
)

// nowhere is a sink that forgets.
type nowhere struct{ requests int }

func (n *nowhere) Observe(_ string, r []analysis.Request) { n.requests += len(r) }
func (*nowhere) Report(string, []analysis.Load)           {}
func (*nowhere) Stream(string, bool)                      {}

func TestProxiesSaysHowFarEachSplitHasCome(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	before := func(d time.Duration) time.Time { return now.Add(-d) }
	route, other := config.Key{Namespace: "ml", Name: "filetype"}, config.Key{Namespace: "ml", Name: "other"}
	mark := func(epoch uint64, age time.Duration) ads.Mark { return ads.Mark{Epoch: epoch, At: before(age)} }
	ledger := []ads.ProxyStatus{
		{Proxy: "busy", Envoy: "1.40.0", Since: before(2 * time.Hour), Routes: []ads.RouteStatus{
			{Route: route, Published: mark(7, time.Minute), Sent: mark(7, time.Minute), Acked: mark(6, time.Hour)},
		}, Refused: []ads.Refusal{{Resource: xds.Ref{Type: xds.TypeListener, Name: "sluice-8080"}, Text: "cannot bind: in use\n"}}},
		{Proxy: "good", Envoy: "1.40.0", Since: before(3 * time.Minute), Routes: []ads.RouteStatus{
			{Route: route, Published: mark(7, time.Minute), Sent: mark(7, time.Minute), Acked: mark(7, time.Minute)},
			{Route: other, Published: mark(2, time.Minute), Sent: mark(2, time.Minute), Acked: mark(2, time.Minute)},
		}},
		{Proxy: "nack", Since: before(time.Second), Routes: []ads.RouteStatus{
			{Route: route, Published: mark(7, time.Minute), Sent: mark(7, time.Minute), Nack: "no such thing"},
		}},
		{Proxy: "stuck", Envoy: "1.40.0", Since: before(time.Minute), Routes: []ads.RouteStatus{
			{Route: route, Published: mark(7, time.Minute), Sent: mark(7, time.Minute), Acked: mark(5, 90*time.Minute), Late: true},
		}},
	}
	clock := now
	next := &nowhere{}
	s := newSightings(next, func() time.Time { return clock })
	s.Observe("good", []analysis.Request{
		{Route: route, Epoch: 6, Start: before(90 * time.Millisecond), Duration: 10 * time.Millisecond},
		{Route: route, Epoch: 7, Start: before(40 * time.Millisecond), Duration: 10 * time.Millisecond},
		{Route: route, Epoch: 9, Start: before(40 * time.Millisecond), Duration: 10 * time.Millisecond, Shadow: true},
		{Route: route, Epoch: 7, Start: before(2 * time.Second), Duration: 10 * time.Millisecond, Running: true},
	})
	s.Observe("stuck", []analysis.Request{{Route: route, Epoch: 5, Start: now.Add(2 * time.Second)}})
	require.Equal(t, 5, next.requests, "all of it goes on")

	gaps := []controller.Snapshot{
		{State: canary.State{Route: route}, Gap: "proxy good, ml/filetype: at least 12 attempts without a log entry"},
		{State: canary.State{Route: other}, Gap: "proxy good, ml/other: at least 3 attempts without a log entry"},
	}
	sent, err := json.Marshal(viewsOf(ledger, s, gaps))
	require.NoError(t, err)
	var views []proxyView
	require.NoError(t, json.Unmarshal(sent, &views))
	var out bytes.Buffer
	require.NoError(t, printProxies(&out, views, true, now))
	require.Equal(t, `PROXY  ENVOY   ROUTE        PUBLISHED  SENT      ACKED      OBSERVED  STATE       LAST LOG  CONNECTED  CLOCK        LOGS
busy   1.40.0  ml/filetype  7 (1m0s)   7 (1m0s)  6 (1h0m)   -         waited for  -         2h0m       -            -
good   1.40.0  ml/filetype  7 (1m0s)   7 (1m0s)  7 (1m0s)   7 (40ms)  observed    0s        3m0s       not ahead    proxy good, ml/filetype: at least 12 attempts without a log entry
good   1.40.0  ml/other     2 (1m0s)   2 (1m0s)  2 (1m0s)   -         acked       0s        3m0s       not ahead    proxy good, ml/other: at least 3 attempts without a log entry
nack   -       ml/filetype  7 (1m0s)   7 (1m0s)  -          -         refused     -         1s         -            -
stuck  1.40.0  ml/filetype  7 (1m0s)   7 (1m0s)  5 (1h30m)  5 (0s)    late        0s        1m0s       ahead by 2s  whole
busy refused Listener sluice-8080: cannot bind: in use
`, out.String())
}

func TestAnAbsentProxyIsNamed(t *testing.T) {
	views := []proxyView{{ProxyStatus: ads.ProxyStatus{Proxy: "a"}}}
	_, err := chosen(views, []string{"b"})
	require.EqualError(t, err, `proxy "b": is not connected; connected are: a`)
	list, err := chosen(views, []string{"a"})
	require.NoError(t, err)
	require.Len(t, list, 1)
}

func TestTheLeastDelayOfLateCounts(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := newSightings(&nowhere{}, func() time.Time { return now })
	after := func(passed, delay time.Duration) time.Duration {
		now = now.Add(passed)
		s.Observe("a", []analysis.Request{{Start: now.Add(-delay)}})
		return s.of("a").delay
	}
	require.Equal(t, 50*time.Millisecond, after(0, 50*time.Millisecond))
	require.Equal(t, 20*time.Millisecond, after(time.Second, 20*time.Millisecond))
	require.Equal(t, 20*time.Millisecond, after(time.Second, 70*time.Millisecond))
	require.Equal(t, 20*time.Millisecond, after(11*time.Second, 70*time.Millisecond), "of the spell before")
	require.Equal(t, 70*time.Millisecond, after(11*time.Second, 70*time.Millisecond), "an older one is forgotten")
}
