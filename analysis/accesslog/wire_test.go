package accesslog

import (
	"testing"

	entrypb "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	logspb "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/sluice-dev/sluice/e2e/ingest/corpus"
)

// generated reads an entry with the generated types.
func generated(e *entrypb.HTTPAccessLogEntry) entry {
	bytes := func(s string) []byte {
		if s == "" {
			return nil
		}
		return []byte(s)
	}
	common, request, response := e.GetCommonProperties(), e.GetRequest().GetRequestHeaders(), e.GetResponse()
	want := entry{
		kind:          uint64(common.GetAccessLogType()),
		cluster:       bytes(common.GetUpstreamCluster()),
		arm:           bytes(common.GetCustomTags()[tagArm]),
		route:         bytes(common.GetRouteName()),
		attempts:      uint64(common.GetUpstreamRequestAttemptCount()),
		lastByte:      common.GetTimeToLastUpstreamRxByte().AsDuration(),
		complete:      common.GetTimeToLastUpstreamRxByte() != nil,
		timed:         common.GetStartTime() != nil && common.GetDuration() != nil,
		host:          bytes(common.GetUpstreamRemoteAddress().GetSocketAddress().GetAddress() + common.GetUpstreamRemoteAddress().GetPipe().GetPath()),
		port:          uint64(common.GetUpstreamRemoteAddress().GetSocketAddress().GetPortValue()),
		requestID:     bytes(e.GetRequest().GetRequestId()),
		armHeader:     bytes(request[headerArm]),
		shadowHeader:  bytes(request[headerShadow]),
		attemptHeader: bytes(request[headerAttempt]),
		segmentHeader: bytes(request[headerSegment]),
		unitHeader:    bytes(request[headerUnit]),
		firstByte:     common.GetTimeToFirstUpstreamRxByte().AsDuration(),
		servedHeader:  bytes(response.GetResponseHeaders()[headerServed]),
		digestHeader:  bytes(response.GetResponseHeaders()[headerDigest]),
		code:          uint64(response.GetResponseCode().GetValue()),
		grpcStatus:    bytes(response.GetResponseHeaders()[headerGRPC]),
		tokens:        bytes(response.GetResponseHeaders()[headerTokens]),
	}
	if trailer, is := response.GetResponseTrailers()[headerTokens]; is {
		want.tokens, want.trailed = bytes(trailer), true
	}
	if trailer, is := response.GetResponseTrailers()[headerDigest]; is {
		want.digestHeader = bytes(trailer)
	}
	if trailer := response.GetResponseTrailers()[headerGRPC]; trailer != "" {
		want.grpcStatus = bytes(trailer)
	}
	if common.GetStartTime() != nil {
		want.start = common.GetStartTime().AsTime()
	}
	if d := common.GetDuration(); d != nil {
		want.duration = d.AsDuration()
	}
	if f := common.GetResponseFlags(); f != nil {
		for i := range f.ProtoReflect().Descriptor().Fields().Len() {
			field := f.ProtoReflect().Descriptor().Fields().Get(i)
			if field.Message() == nil && f.ProtoReflect().Get(field).Bool() {
				want.flags |= 1 << field.Number()
			}
		}
	}
	return want
}

func TestAnEntryIsReadAsTheGeneratedTypesReadIt(t *testing.T) {
	for name, e := range map[string]*entrypb.HTTPAccessLogEntry{
		"an attempt's":       attempt(),
		"a shadow's":         attempt(shadow, flag("upstream_connection_failure")),
		"a request's":        whole(code(503), flag("downstream_remote_reset")),
		"as Envoy fills one": corpus.Filled(entrypb.AccessLogType_DownstreamEnd, 17, start(), 7),
		"with a gRPC status": attempt(func(e *entrypb.HTTPAccessLogEntry) {
			e.Response.ResponseHeaders = map[string]string{"grpc-status": "13", "x-sluice": "v2@17", "x-sluice-digest": "cat", "x-sluice-tokens": "7"}
			e.Response.ResponseTrailers = map[string]string{"grpc-status": "14", "x-sluice-tokens": "8", "x-sluice-digest": "dog"}
		}),
		"one that runs": attempt(began, runs),
		"with nothing":  {},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := proto.Marshal(e)
			require.NoError(t, err)
			got, ok := readEntry(b)
			assert.True(t, ok)
			assert.Equal(t, generated(e), got)
		})
	}
}

func TestABrokenEntryIsFoundAtEveryCut(t *testing.T) {
	b, err := proto.Marshal(attempt(shadow, flag("upstream_overflow")))
	require.NoError(t, err)
	for n := range b {
		var e entrypb.HTTPAccessLogEntry
		_, ok := readEntry(b[:n])
		assert.Equal(t, proto.Unmarshal(b[:n], &e) == nil, ok, "cut to %d of %d bytes", n, len(b))
	}
}

func TestAMessageIsReadAsTheGeneratedTypesReadIt(t *testing.T) {
	message := &logspb.StreamAccessLogsMessage{
		LogEntries: &logspb.StreamAccessLogsMessage_HttpLogs{
			HttpLogs: &logspb.StreamAccessLogsMessage_HTTPAccessLogEntries{LogEntry: []*entrypb.HTTPAccessLogEntry{attempt(), whole()}},
		},
	}
	b, err := proto.Marshal(message)
	require.NoError(t, err)
	var m logMessage
	m.read(b)
	assert.Empty(t, m.node)
	assert.True(t, m.whole)
	require.Len(t, m.entries, 2)
	for i, e := range message.GetHttpLogs().GetLogEntry() {
		got, ok := readEntry(m.entries[i])
		assert.True(t, ok)
		assert.Equal(t, generated(e), got)
	}
	m.read(b[:len(b)-1])
	assert.False(t, m.whole)
	m.read(nil)
	assert.Empty(t, m.entries, "of the message before, nothing is left")
}

// FuzzReadEntry compares with the generated types whatever they take.
func FuzzReadEntry(f *testing.F) {
	for _, e := range []*entrypb.HTTPAccessLogEntry{attempt(), whole(), attempt(shadow, flag("no_healthy_upstream")), corpus.Filled(entrypb.AccessLogType_UpstreamEnd, 17, start(), 1)} {
		b, err := proto.Marshal(e)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = newAttribution("gateway-1", newTold()).attribute(b)
		var e entrypb.HTTPAccessLogEntry
		if proto.Unmarshal(b, &e) != nil || e.GetCommonProperties().GetStartTime().CheckValid() != nil && e.GetCommonProperties().GetStartTime() != nil {
			return
		}
		if d := e.GetCommonProperties().GetDuration(); d != nil && d.CheckValid() != nil {
			return
		}
		canonical, err := proto.Marshal(&e) // each field once
		require.NoError(t, err)
		got, ok := readEntry(canonical)
		require.True(t, ok)
		want := generated(&e)
		for _, b := range []*[]byte{
			&got.cluster, &got.arm, &got.route, &got.host, &got.requestID, &got.armHeader, &got.shadowHeader, &got.attemptHeader,
			&got.segmentHeader, &got.unitHeader, &got.servedHeader, &got.digestHeader, &got.tokens, &got.grpcStatus,
		} {
			*b = empty(*b)
		}
		require.Equal(t, want, got)
	})
}

// empty makes no difference between an empty value and none.
func empty(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}
