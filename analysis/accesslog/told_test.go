package accesslog

import (
	"fmt"
	"testing"
	"time"

	entrypb "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sluice-dev/sluice/analysis"
)

const firstByte = 300 * time.Millisecond

// began is that the first byte came.
func began(e *entrypb.HTTPAccessLogEntry) {
	e.CommonProperties.TimeToFirstUpstreamRxByte = durationpb.New(firstByte)
}

// runs is an entry of an attempt that has not ended.
func runs(e *entrypb.HTTPAccessLogEntry) {
	e.CommonProperties.AccessLogType = entrypb.AccessLogType_UpstreamPeriodic
	e.CommonProperties.Duration, e.CommonProperties.TimeToLastUpstreamRxByte = nil, nil
}

func took(d time.Duration) change {
	return func(e *entrypb.HTTPAccessLogEntry) {
		e.CommonProperties.Duration = durationpb.New(d)
		e.CommonProperties.TimeToLastUpstreamRxByte = durationpb.New(d)
	}
}

// entriesOf are the bytes of a message's entries.
func entriesOf(t *testing.T, entries ...*entrypb.HTTPAccessLogEntry) *logMessage {
	t.Helper()
	m := &logMessage{whole: true}
	for _, e := range entries {
		b, err := proto.Marshal(e)
		require.NoError(t, err)
		m.entries = append(m.entries, b)
	}
	return m
}

func quietServer(t *testing.T) *Server {
	t.Helper()
	s, err := New(Config{Sink: nowhere{}})
	require.NoError(t, err)
	return s
}

func running(changes ...func(*analysis.Request)) analysis.Request {
	return answered(append([]func(*analysis.Request){func(r *analysis.Request) {
		r.Running, r.FirstByte, r.Duration = true, firstByte, firstByte
	}}, changes...)...)
}

func over(told bool) analysis.Request {
	return answered(func(r *analysis.Request) { r.FirstByte, r.Duration, r.Told = firstByte, 3*time.Second, told })
}

func TestAFirstByteIsToldOnceWhileItsAttemptRuns(t *testing.T) {
	tick, end := attempt(began, runs), attempt(began, took(3*time.Second))
	server, memory := quietServer(t), newTold()
	at := newAttribution("gateway-1", memory)
	assert.Equal(t, []analysis.Request{running()}, server.read(at, entriesOf(t, tick, tick), nil))
	assert.Empty(t, server.read(at, entriesOf(t, tick), nil))
	other := newAttribution("gateway-1", memory)
	assert.Empty(t, server.read(other, entriesOf(t, tick), nil), "after its stream broke off it comes over another")
	assert.Equal(t, []analysis.Request{over(true)}, server.read(other, entriesOf(t, end), nil))
	assert.Equal(t, []analysis.Request{over(false)}, server.read(other, entriesOf(t, end), nil), "one that was not told while it ran")
	assert.Empty(t, memory.since)
	assert.Equal(t, uint64(1), server.Counts().Running)
}

func TestWhatIsNotToldWhileItRuns(t *testing.T) {
	for name, change := range map[string]change{
		"a retry":                retry,
		"a copy":                 shadow,
		"an error's answer":      func(e *entrypb.HTTPAccessLogEntry) { e.Response.ResponseCode.Value = 503 },
		"one by a pinned tester": func(e *entrypb.HTTPAccessLogEntry) { e.Request.RequestHeaders["x-sluice-arm"] = "v2@0" },
		"one without an id":      id(""),
		"one by a version that stands in": func(e *entrypb.HTTPAccessLogEntry) {
			e.Request.RequestHeaders["x-sluice-arm"] = "ml/filetype/v1/v2@17"
		},
	} {
		t.Run(name, func(t *testing.T) {
			at := newAttribution("gateway-1", newTold())
			assert.Empty(t, quietServer(t).read(at, entriesOf(t, attempt(began, runs, change)), nil))
			assert.Nil(t, at.spared)
		})
	}
}

func TestACopyThatEndsIsNotTakenForItsOriginal(t *testing.T) {
	at, server := newAttribution("gateway-1", newTold()), quietServer(t)
	tick, end := attempt(began, runs), attempt(began, took(3*time.Second))
	server.read(at, entriesOf(t, tick, attempt(began, took(2*time.Second), shadow)), nil)
	assert.Equal(t, []analysis.Request{over(true)}, server.read(at, entriesOf(t, end), nil))
}

func TestAFullMemoryTellsNothingTwice(t *testing.T) {
	now := start()
	memory := newTold()
	nth := func(i int) *analysis.Request {
		r := over(false)
		r.ID, r.Start = fmt.Sprint(i), start().Add(time.Duration(i)*time.Millisecond)
		return &r
	}
	for i := range mostTold {
		require.True(t, memory.running(now, nth(i)))
	}
	assert.False(t, memory.running(now, nth(mostTold)), "there is no room")
	assert.False(t, memory.ended(nth(mostTold)), "so its first byte counts when it ends")
	assert.True(t, memory.ended(nth(7)))
	assert.True(t, memory.running(now, nth(mostTold)), "there is room again")

	now = now.Add(2 * stale)
	assert.False(t, memory.running(now, nth(8)), "known, and seen again")
	assert.True(t, memory.running(now, nth(mostTold+1)), "the others are gone for good, it seems")
	assert.Len(t, memory.since, 2)
	assert.True(t, memory.ended(nth(9)), "one that was not gone may have been told")
	assert.False(t, memory.running(now, nth(10)), "as may another")
	assert.True(t, memory.ended(nth(8)))
}

func TestAProxyThatIsGoneForLongIsForgotten(t *testing.T) {
	m := memories{of: map[string]*told{}}
	first := m.open(start(), "gateway-1")
	assert.Same(t, first, m.open(start(), "gateway-1"))
	m.close(start(), first)
	m.close(start(), first)
	m.open(start().Add(absent), "gateway-2")
	assert.Len(t, m.of, 2)
	m.open(start().Add(absent+time.Second), "gateway-2")
	assert.Len(t, m.of, 1)
}

type nowhere struct{}

func (nowhere) Observe(string, []analysis.Request) {}
func (nowhere) Report(string, []analysis.Load)     {}
func (nowhere) Stream(string, bool)                {}

// aged is what the tag of that name says.
func aged(milliseconds string) change {
	return func(e *entrypb.HTTPAccessLogEntry) { e.CommonProperties.CustomTags["age"] = milliseconds }
}

func TestOneThatWaitsIsToldAsOftenAsItsProxyDoes(t *testing.T) {
	waiting := func(d time.Duration, changes ...func(*analysis.Request)) analysis.Request {
		return answered(append([]func(*analysis.Request){func(r *analysis.Request) { r.Running, r.Duration = true, d }}, changes...)...)
	}
	shadow := func(e *entrypb.HTTPAccessLogEntry) { e.Request.RequestHeaders["x-sluice-shadow"] = "v2@17" }
	header := func(key, value string) change {
		return func(e *entrypb.HTTPAccessLogEntry) { e.Request.RequestHeaders[key] = value }
	}
	for _, tt := range []struct {
		name  string
		entry *entrypb.HTTPAccessLogEntry
		want  []analysis.Request
	}{
		{"with its age", attempt(runs, aged("1047")), []analysis.Request{waiting(1047 * time.Millisecond)}},
		{"a mirrored copy, too", attempt(runs, aged("2000"), shadow), []analysis.Request{waiting(2*time.Second, func(r *analysis.Request) { r.Shadow = true })}},
		{"but not by a proxy that says no age", attempt(runs), nil},
		{"nor a retry", attempt(runs, aged("1047"), header("x-envoy-attempt-count", "2")), nil},
		{"nor one that a tester pinned", attempt(runs, aged("1047"), header("x-sluice-arm", "v2@0")), nil},
		{"nor one without an id", attempt(runs, aged("1047"), func(e *entrypb.HTTPAccessLogEntry) { e.Request.RequestId = "" }), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server, at := quietServer(t), newAttribution("gateway-1", newTold())
			assert.Equal(t, tt.want, server.read(at, entriesOf(t, tt.entry), nil))
			assert.Equal(t, tt.want, server.read(at, entriesOf(t, tt.entry), nil), "again")
			assert.Equal(t, uint64(2*len(tt.want)), server.Counts().Running)
		})
	}
}
