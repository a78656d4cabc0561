package accesslog

import (
	"strconv"
	"strings"
	"testing"
	"time"

	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	entrypb "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/e2e/ingest/corpus"
)

func start() time.Time { return time.Unix(1_700_000_000, 250_000_000).UTC() }

// attempt is the entry of a first attempt that v2 answered with 200.
func attempt(changes ...func(*entrypb.HTTPAccessLogEntry)) *entrypb.HTTPAccessLogEntry {
	e := &entrypb.HTTPAccessLogEntry{
		CommonProperties: &entrypb.AccessLogCommon{
			AccessLogType:            entrypb.AccessLogType_UpstreamEnd,
			StartTime:                timestamppb.New(start()),
			Duration:                 durationpb.New(37 * time.Millisecond),
			TimeToLastUpstreamRxByte: durationpb.New(36 * time.Millisecond),
			UpstreamCluster:          "ml/filetype/v2",
			UpstreamRemoteAddress:    corpus.Address("10.0.0.7", 8000),
			RouteName:                "ml/filetype@17",
			CustomTags:               map[string]string{"arm": "ml/filetype/v2"},
		},
		Request: &entrypb.HTTPRequestProperties{
			RequestId:      "r1",
			RequestHeaders: map[string]string{"x-sluice-arm": "v2@17", "x-envoy-attempt-count": "1"},
		},
		Response: &entrypb.HTTPResponseProperties{ResponseCode: wrapperspb.UInt32(200)},
	}
	for _, change := range changes {
		change(e)
	}
	return e
}

// answered is what attempt tells of.
func answered(changes ...func(*analysis.Request)) analysis.Request {
	r := analysis.Request{
		Route: config.Key{Namespace: "ml", Name: "filetype"}, Version: "v2", Epoch: 17,
		Pod: "10.0.0.7:8000", Proxy: "gateway-1", Start: start(), Duration: 37 * time.Millisecond,
		Outcome: analysis.Succeeded, Attempt: 1, Issued: true, ID: "r1", Status: "200",
	}
	for _, change := range changes {
		change(&r)
	}
	return r
}

// whole is the entry of a whole request that had one attempt.
func whole(changes ...func(*entrypb.HTTPAccessLogEntry)) *entrypb.HTTPAccessLogEntry {
	return attempt(append([]func(*entrypb.HTTPAccessLogEntry){func(e *entrypb.HTTPAccessLogEntry) {
		e.CommonProperties.AccessLogType = entrypb.AccessLogType_DownstreamEnd
		e.CommonProperties.UpstreamRequestAttemptCount = 1
	}}, changes...)...)
}

// Changes to entries.
type change = func(*entrypb.HTTPAccessLogEntry)

// code is an answer of which only the head came; 0 is none.
func code(c uint32) change {
	return func(e *entrypb.HTTPAccessLogEntry) {
		e.CommonProperties.TimeToLastUpstreamRxByte = nil
		e.Response.ResponseCode = wrapperspb.UInt32(c)
		if c == 0 {
			e.Response.ResponseCode = nil
		}
	}
}

func complete(e *entrypb.HTTPAccessLogEntry) {
	e.CommonProperties.TimeToLastUpstreamRxByte = durationpb.New(time.Millisecond)
}

func flag(name protoreflect.Name) change {
	return func(e *entrypb.HTTPAccessLogEntry) {
		f := &entrypb.ResponseFlags{}
		field := f.ProtoReflect().Descriptor().Fields().ByName(name)
		if field.Kind() == protoreflect.MessageKind {
			f.ProtoReflect().Set(field, protoreflect.ValueOfMessage((&entrypb.ResponseFlags_Unauthorized{Reason: 1}).ProtoReflect()))
		} else {
			f.ProtoReflect().Set(field, protoreflect.ValueOfBool(true))
		}
		e.CommonProperties.ResponseFlags = f
	}
}

func retry(e *entrypb.HTTPAccessLogEntry) {
	e.Request.RequestHeaders["x-envoy-attempt-count"] = "2"
	e.Request.RequestHeaders["x-sluice-arm"] = "v1@17"
}

func shadow(e *entrypb.HTTPAccessLogEntry) {
	e.CommonProperties.RouteName = ""
	e.Request.RequestHeaders["x-sluice-arm"] = "v1@16"
	e.Request.RequestHeaders["x-sluice-shadow"] = "v2@17"
}

func id(s string) change {
	return func(e *entrypb.HTTPAccessLogEntry) { e.Request.RequestId = s }
}

// all gives the requests that messages of entries tell of, and then the end of
// their stream.
func all(t *testing.T, messages ...[]*entrypb.HTTPAccessLogEntry) (requests []analysis.Request) {
	t.Helper()
	a := newAttribution("gateway-1", newTold())
	for _, entries := range messages {
		requests = a.endings.next(requests)
		for _, e := range entries {
			b, err := proto.Marshal(e)
			require.NoError(t, err)
			if r, what := a.attribute(b); what == attributed {
				requests = append(requests, r)
			}
		}
	}
	return a.endings.rest(requests)
}

func one(t *testing.T, e *entrypb.HTTPAccessLogEntry) []analysis.Request {
	t.Helper()
	return all(t, []*entrypb.HTTPAccessLogEntry{e})
}

func TestEveryFlagOfAnAttempt(t *testing.T) {
	const (
		failed, timedOut, abandoned, succeeded = analysis.Failed, analysis.TimedOut, analysis.Abandoned, analysis.Succeeded
	)
	type row struct {
		unanswered, begun, complete analysis.Outcome
	}
	rows := map[protoreflect.Name]row{
		"no_healthy_upstream":                  {failed, timedOut, timedOut},
		"upstream_request_timeout":             {timedOut, timedOut, timedOut},
		"local_reset":                          {failed, timedOut, timedOut},
		"upstream_remote_reset":                {failed, timedOut, timedOut},
		"upstream_connection_failure":          {failed, timedOut, timedOut},
		"upstream_connection_termination":      {failed, timedOut, timedOut},
		"upstream_overflow":                    {failed, timedOut, timedOut},
		"downstream_connection_termination":    {abandoned, abandoned, abandoned},
		"stream_idle_timeout":                  {timedOut, timedOut, timedOut},
		"downstream_protocol_error":            {abandoned, abandoned, abandoned},
		"upstream_max_stream_duration_reached": {timedOut, timedOut, timedOut},
		"duration_timeout":                     {timedOut, timedOut, timedOut},
		"upstream_protocol_error":              {failed, timedOut, timedOut},
		"no_cluster_found":                     {failed, timedOut, timedOut},
		"dns_resolution_failure":               {failed, timedOut, timedOut},
		"downstream_remote_reset":              {abandoned, abandoned, abandoned},
	}
	// What else there is says nothing of an attempt's end: without an answer, nobody
	// having left, it was the time-out.
	nothing := row{timedOut, timedOut, succeeded}
	issued := map[protoreflect.Name]bool{"upstream_connection_failure": false, "upstream_overflow": false}

	fields := (&entrypb.ResponseFlags{}).ProtoReflect().Descriptor().Fields()
	require.Equal(t, 28, fields.Len(), "a flag is new to this table")
	for i := range fields.Len() {
		name := fields.Get(i).Name()
		want, known := rows[name]
		if !known {
			want = nothing
		}
		_, unissued := issued[name]
		for _, kind := range []struct {
			name   string
			change change
			want   func(*analysis.Request)
		}{
			{"live", func(*entrypb.HTTPAccessLogEntry) {}, func(*analysis.Request) {}},
			{"retry", retry, func(r *analysis.Request) { r.Attempt = 2 }},
			{"shadow", shadow, func(r *analysis.Request) { r.Shadow = true }},
		} {
			for _, answer := range []struct {
				name    string
				changes []change
				want    analysis.Outcome
				status  string
			}{
				{"no answer", []change{code(0)}, want.unanswered, ""},
				{"the head of an answer", []change{code(200)}, want.begun, "200"},
				{"an answer", []change{code(200), complete}, want.complete, "200"},
				{"the head of a 503", []change{code(503)}, failed, "503"},
			} {
				got := one(t, attempt(append(answer.changes, kind.change, flag(name))...))
				expected := answered(kind.want, func(r *analysis.Request) {
					r.Outcome, r.Issued, r.Status = answer.want, !unissued, answer.status
				})
				assert.Equal(t, []analysis.Request{expected}, got, "%s, %s with %s", kind.name, answer.name, name)
			}
		}
	}
}

func TestStatusesOfAnAttempt(t *testing.T) {
	for status, want := range map[uint32]analysis.Outcome{
		200: analysis.Succeeded, 204: analysis.Succeeded, 302: analysis.Succeeded,
		400: analysis.ClientFault, 404: analysis.ClientFault, 408: analysis.ClientFault, 429: analysis.ClientFault, 499: analysis.ClientFault,
		500: analysis.Failed, 501: analysis.Failed, 503: analysis.Failed, 504: analysis.Failed,
	} {
		got := one(t, attempt(code(status), complete))
		assert.Equal(t, []analysis.Request{answered(func(r *analysis.Request) {
			r.Outcome, r.Status = want, strconv.Itoa(int(status))
		})}, got, "%d", status)
	}
}

func TestStatusesOfGRPC(t *testing.T) {
	want := map[string]analysis.Outcome{
		"0": analysis.Succeeded,
		"2": analysis.Failed, "4": analysis.Failed, "12": analysis.Failed, "13": analysis.Failed, "14": analysis.Failed, "15": analysis.Failed,
		"17": analysis.Failed, "x": analysis.Failed,
	}
	for _, s := range []string{"1", "3", "5", "6", "7", "8", "9", "10", "11", "16"} {
		want[s] = analysis.ClientFault
	}
	for s, outcome := range want {
		headers := func(e *entrypb.HTTPAccessLogEntry) { e.Response.ResponseHeaders = map[string]string{"grpc-status": s} }
		trailers := func(e *entrypb.HTTPAccessLogEntry) { e.Response.ResponseTrailers = map[string]string{"grpc-status": s} }
		for _, where := range []change{headers, trailers} {
			got := one(t, attempt(where))
			assert.Equal(t, []analysis.Request{answered(func(r *analysis.Request) { r.Outcome, r.Status = outcome, "grpc "+s })}, got, s)
		}
	}
	both := func(e *entrypb.HTTPAccessLogEntry) {
		e.Response.ResponseHeaders = map[string]string{"grpc-status": "0"}
		e.Response.ResponseTrailers = map[string]string{"grpc-status": "14"}
	}
	assert.Equal(t, analysis.Failed, one(t, attempt(both))[0].Outcome, "trailers are the last word")
}

func TestTheArmThatServedIsJudged(t *testing.T) {
	routeLevel := func(e *entrypb.HTTPAccessLogEntry) { e.Request.RequestHeaders["x-sluice-arm"] = "ml/filetype/v2@18" }
	for _, tt := range []struct {
		name  string
		entry *entrypb.HTTPAccessLogEntry
		want  analysis.Request
	}{
		{"a retry on another arm", attempt(retry), answered(func(r *analysis.Request) { r.Attempt = 2 })},
		{"a mirrored request, whatever its live arm", attempt(shadow), answered(func(r *analysis.Request) { r.Shadow = true })},
		{"a stamp of the route", attempt(routeLevel), answered(func(r *analysis.Request) { r.Epoch = 18 })},
		{"no stamp but the route's name", attempt(func(e *entrypb.HTTPAccessLogEntry) { delete(e.GetRequest().GetRequestHeaders(), "x-sluice-arm") }), answered()},
		{"a pod with IPv6", attempt(func(e *entrypb.HTTPAccessLogEntry) {
			e.CommonProperties.UpstreamRemoteAddress = corpus.Address("fd00::7", 80)
		}), answered(func(r *analysis.Request) { r.Pod = "[fd00::7]:80" })},
		{"a pod behind a unix socket", attempt(func(e *entrypb.HTTPAccessLogEntry) {
			e.CommonProperties.UpstreamRemoteAddress = &corepb.Address{Address: &corepb.Address_Pipe{Pipe: &corepb.Pipe{Path: "/run/model"}}}
		}), answered(func(r *analysis.Request) { r.Pod = "/run/model" })},
		{"an overflow, which names no cluster and no pod", attempt(code(0), flag("upstream_overflow"), func(e *entrypb.HTTPAccessLogEntry) {
			e.CommonProperties.UpstreamCluster, e.CommonProperties.UpstreamRemoteAddress = "", nil
		}), answered(func(r *analysis.Request) { r.Pod, r.Issued, r.Outcome, r.Status = "", false, analysis.Failed, "" })},
		{"an answer that the server gave a digest of", attempt(func(e *entrypb.HTTPAccessLogEntry) {
			e.Response.ResponseHeaders = map[string]string{"x-sluice-digest": "cat"}
		}), answered(func(r *analysis.Request) { r.Digest = "cat" })},
		{"a digest that came with the trailers", attempt(func(e *entrypb.HTTPAccessLogEntry) {
			e.Response.ResponseTrailers = map[string]string{"x-sluice-digest": "dog"}
		}), answered(func(r *analysis.Request) { r.Digest = "dog" })},
		{"a digest that is not there", attempt(func(e *entrypb.HTTPAccessLogEntry) {
			e.Response.ResponseHeaders = map[string]string{"x-sluice-digest": "-"}
		}), answered()},
		{"a digest that never ends", attempt(func(e *entrypb.HTTPAccessLogEntry) {
			e.Response.ResponseHeaders = map[string]string{"x-sluice-digest": strings.Repeat("a", 1000)}
		}), answered(func(r *analysis.Request) { r.Digest = strings.Repeat("a", longestDigest) })},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, []analysis.Request{tt.want}, one(t, tt.entry))
		})
	}
}

func TestARequestIsToldOnce(t *testing.T) {
	unsent := answered(func(r *analysis.Request) {
		r.Pod, r.Issued, r.Attempt, r.Outcome, r.Status = "", false, 0, analysis.Failed, "503"
	})
	noCluster := func(e *entrypb.HTTPAccessLogEntry) {
		e.CommonProperties.UpstreamRequestAttemptCount = 0
		e.CommonProperties.CustomTags, e.Request.RequestHeaders = nil, nil
		e.Response.ResponseHeaders = map[string]string{"x-sluice": "v2@17"}
	}
	for _, tt := range []struct {
		name  string
		entry *entrypb.HTTPAccessLogEntry
		want  []analysis.Request
	}{
		{"by its attempt, not by itself", whole(), nil},
		{"by its attempt even if it failed", whole(code(503)), nil},
		{"by its attempt, which overflowed", whole(code(503), flag("upstream_overflow")), nil},
		{"by itself without a healthy pod", whole(code(503), flag("no_healthy_upstream")), []analysis.Request{unsent}},
		{"by its first attempt, where a retry found no pod", whole(code(503), flag("no_healthy_upstream"), func(e *entrypb.HTTPAccessLogEntry) {
			e.CommonProperties.UpstreamRequestAttemptCount = 2
		}), nil},
		{"by itself without a cluster", whole(code(503), flag("no_cluster_found"), noCluster), []analysis.Request{unsent}},
		{"not at all without a route", whole(code(404), flag("no_route_found")), nil},
		{"not at all where Envoy refused it", whole(code(429), flag("rate_limited")), nil},
		{"not while it is under way", whole(func(e *entrypb.HTTPAccessLogEntry) {
			e.CommonProperties.AccessLogType = entrypb.AccessLogType_DownstreamPeriodic
		}), nil},
		{"not when its attempt begins", attempt(func(e *entrypb.HTTPAccessLogEntry) {
			e.CommonProperties.AccessLogType = entrypb.AccessLogType_UpstreamPoolReady
		}), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, one(t, tt.entry))
		})
	}
}

func TestACutOffAttemptEndsAsItsRequestDid(t *testing.T) {
	type entries = []*entrypb.HTTPAccessLogEntry
	cut, begun := attempt(code(0)), attempt(code(200))
	left := whole(code(0), flag("downstream_connection_termination"))
	reset := whole(code(200), flag("downstream_remote_reset"))
	late := whole(code(504), flag("upstream_request_timeout"))
	slow := whole(code(408), flag("stream_idle_timeout"))
	other := attempt(id("r2"))
	muchLater := attempt(code(0), shadow, func(e *entrypb.HTTPAccessLogEntry) {
		e.CommonProperties.Duration = durationpb.New(time.Second)
	})
	for _, tt := range []struct {
		name     string
		messages []entries
		want     []analysis.Outcome
	}{
		{"the client left", []entries{{left, cut}}, []analysis.Outcome{analysis.Abandoned}},
		{"the client left, told after", []entries{{cut, left}}, []analysis.Outcome{analysis.Abandoned}},
		{"the client left, told in the next message", []entries{{cut}, {left}}, []analysis.Outcome{analysis.Abandoned}},
		{"the client left, told in the message before", []entries{{left}, {cut}}, []analysis.Outcome{analysis.Abandoned}},
		{"the client left amid the answer", []entries{{reset, begun}}, []analysis.Outcome{analysis.Abandoned}},
		{"the route's time-out passed", []entries{{cut, late}}, []analysis.Outcome{analysis.TimedOut}},
		{"the route's time-out passed, told before", []entries{{late, cut}}, []analysis.Outcome{analysis.TimedOut}},
		{"the route's time-out passed amid the answer", []entries{{begun}, {late}}, []analysis.Outcome{analysis.TimedOut}},
		{"the client was too slow", []entries{{cut, slow}}, []analysis.Outcome{analysis.ClientFault}},
		{"nobody says why", []entries{{cut}}, []analysis.Outcome{analysis.TimedOut}},
		{"nobody says why for two messages", []entries{{cut}, {other}, {other}, {}, {left}}, []analysis.Outcome{analysis.Succeeded, analysis.Succeeded, analysis.TimedOut}},
		{"another client left", []entries{{whole(id("r2"), code(0), flag("downstream_remote_reset")), cut}}, []analysis.Outcome{analysis.TimedOut}},
		{"a client that left long ago", []entries{{left}, {other}, {other}, {cut}}, []analysis.Outcome{analysis.Succeeded, analysis.Succeeded, analysis.TimedOut}},
		{"without a request id", []entries{{attempt(code(0), id("")), whole(code(0), id(""), flag("downstream_remote_reset"))}}, []analysis.Outcome{analysis.TimedOut}},
		{"a mirrored request timed out", []entries{{attempt(code(0), shadow)}, {whole()}}, []analysis.Outcome{analysis.TimedOut}},
		{"the client left while its request was mirrored", []entries{{left, cut, attempt(code(0), shadow)}}, []analysis.Outcome{analysis.Abandoned, analysis.Abandoned}},
		{"a mirrored request timed out after the client left", []entries{{left, cut, muchLater}}, []analysis.Outcome{analysis.Abandoned, analysis.TimedOut}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []analysis.Outcome
			for _, r := range all(t, tt.messages...) {
				got = append(got, r.Outcome)
			}
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestAnEntryThatLacksSomethingIsNamedByIt(t *testing.T) {
	for want, e := range map[result]*entrypb.HTTPAccessLogEntry{
		noCluster: attempt(func(e *entrypb.HTTPAccessLogEntry) { e.CommonProperties.UpstreamCluster = "their-cluster" }),
		noEpoch: attempt(func(e *entrypb.HTTPAccessLogEntry) {
			delete(e.GetRequest().GetRequestHeaders(), "x-sluice-arm")
			e.CommonProperties.RouteName = "theirs"
		}),
		noAttempt: attempt(func(e *entrypb.HTTPAccessLogEntry) {
			delete(e.GetRequest().GetRequestHeaders(), "x-envoy-attempt-count")
		}),
		noTime:  attempt(func(e *entrypb.HTTPAccessLogEntry) { e.CommonProperties.Duration = nil }),
		leftOut: {},
	} {
		b, err := proto.Marshal(e)
		require.NoError(t, err)
		_, what := newAttribution("gateway-1", newTold()).attribute(b)
		assert.Equal(t, want, what)
	}
	_, what := newAttribution("gateway-1", newTold()).attribute([]byte{0xff})
	assert.Equal(t, noEntry, what)
}

func TestATestersRequestIsToldAsPinnedHoweverItEnds(t *testing.T) {
	pinned := func(e *entrypb.HTTPAccessLogEntry) {
		e.CommonProperties.RouteName = "ml/filetype@0"
		e.Request.RequestHeaders["x-sluice-arm"] = "v2@0"
	}
	for _, e := range []*entrypb.HTTPAccessLogEntry{
		attempt(pinned), attempt(pinned, code(503)), attempt(pinned, code(0)),
		attempt(pinned, code(0), flag("upstream_connection_failure")),
		whole(pinned, code(503), flag("no_healthy_upstream")),
	} {
		got := one(t, e)
		require.Len(t, got, 1)
		assert.True(t, got[0].Pinned)
		assert.False(t, got[0].Evident())
	}
	got := one(t, attempt())
	assert.False(t, got[0].Pinned)
	assert.True(t, got[0].Evident())
}

func TestNamesAreForgottenBeforeTheyAreTooMany(t *testing.T) {
	a := newAttribution("gateway-1", newTold())
	for port := range uint32(3 * remembered) {
		b, err := proto.Marshal(attempt(func(e *entrypb.HTTPAccessLogEntry) {
			e.CommonProperties.UpstreamRemoteAddress = corpus.Address("10.0.0.7", port)
		}))
		require.NoError(t, err)
		_, what := a.attribute(b)
		require.Equal(t, attributed, what)
		require.LessOrEqual(t, len(a.pods), remembered)
	}
}

func TestARequestIsToldWithItsUnit(t *testing.T) {
	for header, want := range map[string]string{"alice": "alice", "-": "", "": "", strings.Repeat("u", 300): strings.Repeat("u", analysis.LongestUnit)} {
		got := one(t, attempt(func(e *entrypb.HTTPAccessLogEntry) { e.Request.RequestHeaders["x-sluice-unit"] = header }))
		require.Equal(t, []analysis.Request{answered(func(r *analysis.Request) { r.Unit = want })}, got)
	}
}
