package accesslog

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	entrypb "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	logspb "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

// BenchmarkIngest is from the bytes of a message to windows and the tally: per
// request, an entry of its attempt and one of its own, filled as Envoy 1.40 fills
// them. The figure to watch is entries per second of CPU, which a busy machine leaves
// as it is.
func BenchmarkIngest(b *testing.B) {
	const requests = 16 // what a buffer of 16 KiB holds
	var messages [][]byte
	start := time.Unix(1_700_000_000, 0)
	for m := range 256 {
		message := &logspb.StreamAccessLogsMessage{LogEntries: &logspb.StreamAccessLogsMessage_HttpLogs{
			HttpLogs: &logspb.StreamAccessLogsMessage_HTTPAccessLogEntries{},
		}}
		for i := range requests {
			at := start.Add(time.Duration(m*requests+i) * time.Millisecond)
			message.GetHttpLogs().LogEntry = append(message.GetHttpLogs().LogEntry,
				filled(entrypb.AccessLogType_UpstreamEnd, at, m*requests+i), filled(entrypb.AccessLogType_DownstreamEnd, at, m*requests+i))
		}
		bytes, err := proto.Marshal(message)
		if err != nil {
			b.Fatal(err)
		}
		messages = append(messages, bytes)
	}
	server, err := New(Config{Sink: nowhere{}})
	if err != nil {
		b.Fatal(err)
	}
	route := config.Key{Namespace: "ml", Name: "filetype"}
	at, bins, tally := newAttribution("gateway-1", newTold()), analysis.NewBins(start, time.Second), analysis.NewTally(route, start)
	var seen []analysis.Request
	b.SetBytes(int64(len(messages[0])))
	b.ReportAllocs()
	b.ResetTimer()
	n, before := 0, cpu(b)
	var message logMessage
	for b.Loop() {
		message.read(messages[n%len(messages)])
		n++
		seen = server.read(at, &message, seen[:0])
		tally.Observe(start, seen)
		for _, r := range seen {
			bins.Add(r)
		}
		bins.Close(seen[0].Start)
	}
	if len(seen) != requests {
		b.Fatalf("got %d requests of a message, want %d", len(seen), requests)
	}
	b.ReportMetric(float64(2*requests*n)/(cpu(b)-before).Seconds(), "entries/cpu-s")
}

// cpu is the processor time that the test has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

type nowhere struct{}

func (nowhere) Observe(string, []analysis.Request) {}
func (nowhere) Report(string, []analysis.Load)     {}
func (nowhere) Stream(string, bool)                {}

// filled is an entry with every field that Envoy sets.
func filled(kind entrypb.AccessLogType, at time.Time, i int) *entrypb.HTTPAccessLogEntry {
	took := durationpb.New(time.Duration(20+i%40) * time.Millisecond)
	version := fmt.Sprintf("v%d", 1+i%2)
	id := fmt.Sprintf("f26a68f9-4152-414a-89e1-%012x", i)
	e := &entrypb.HTTPAccessLogEntry{
		CommonProperties: &entrypb.AccessLogCommon{
			AccessLogType:                 kind,
			DownstreamRemoteAddress:       address("10.1.0.9", 50804),
			DownstreamLocalAddress:        address("10.1.0.2", 8080),
			DownstreamDirectRemoteAddress: address("10.1.0.9", 50804),
			UpstreamRemoteAddress:         address("10.0.0.7", uint32(8000+i%4)),
			UpstreamLocalAddress:          address("10.1.0.2", 55472),
			StartTime:                     timestamppb.New(at),
			Duration:                      took,
			TimeToLastRxByte:              durationpb.New(400 * time.Microsecond),
			TimeToFirstUpstreamTxByte:     durationpb.New(400 * time.Microsecond),
			TimeToLastUpstreamTxByte:      durationpb.New(410 * time.Microsecond),
			TimeToFirstUpstreamRxByte:     took,
			TimeToLastUpstreamRxByte:      took,
			UpstreamCluster:               "ml/filetype/" + version,
			RouteName:                     "ml/filetype@17",
			CustomTags:                    map[string]string{"arm": "ml/filetype/" + version},
			DownstreamWireBytesReceived:   1580,
			DownstreamWireBytesSent:       193,
			UpstreamWireBytesSent:         2630,
			UpstreamWireBytesReceived:     170,
		},
		ProtocolVersion: entrypb.HTTPAccessLogEntry_HTTP11,
		Request: &entrypb.HTTPRequestProperties{
			RequestMethod: 3, Scheme: "http", Authority: "filetype.ml", Path: "/v2/models/filetype/infer",
			UserAgent: "Go-http-client/1.1", RequestId: id, RequestHeadersBytes: 241, RequestBodyBytes: 1422,
			RequestHeaders:          map[string]string{"x-envoy-attempt-count": "1", "x-sluice-arm": version + "@17"},
			UpstreamHeaderBytesSent: 221, DownstreamHeaderBytesReceived: 111,
		},
		Response: &entrypb.HTTPResponseProperties{
			ResponseCode: wrapperspb.UInt32(200), ResponseHeadersBytes: 120, ResponseBodyBytes: 73, DownstreamHeaderBytesSent: 134,
		},
	}
	if kind == entrypb.AccessLogType_DownstreamEnd {
		e.CommonProperties.StreamId, e.CommonProperties.UpstreamRequestAttemptCount = id, 1
		e.Response.ResponseCodeDetails = "via_upstream"
	}
	return e
}
