// Package corpus makes access-log entries filled as Envoy fills them, for what reads
// them to be tried and measured with. It decides nothing.
//
// Start reading at Filled.
package corpus

import (
	"fmt"
	"time"

	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	entrypb "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	logspb "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	// PerMessage is how many entries a message has: what Envoy's buffer of 16 KiB holds.
	PerMessage = 32
	// messages is how many are made at a time, and sent over and over.
	messages = 64
)

// Messages gives messages with the entries of requests that end at about a time. Each
// request has two entries, of its attempt and its own, filled as Envoy 1.40 fills
// them; one request in a hundred fails.
func Messages(proxy string, epoch uint64, at time.Time) ([][]byte, error) {
	all := make([][]byte, messages)
	for m := range all {
		entries := &logspb.StreamAccessLogsMessage_HTTPAccessLogEntries{}
		for i := range PerMessage / 2 {
			n := m*PerMessage/2 + i
			entries.LogEntry = append(entries.LogEntry,
				Filled(entrypb.AccessLogType_UpstreamEnd, epoch, at, n), Filled(entrypb.AccessLogType_DownstreamEnd, epoch, at, n))
		}
		message := &logspb.StreamAccessLogsMessage{
			Identifier: &logspb.StreamAccessLogsMessage_Identifier{Node: &corepb.Node{Id: proxy}, LogName: "sluice"},
			LogEntries: &logspb.StreamAccessLogsMessage_HttpLogs{HttpLogs: entries},
		}
		var err error
		if all[m], err = proto.Marshal(message); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Filled is an entry with every field that Envoy 1.40 sets for a request of a sticky unit
// whose server says what it answered.
func Filled(kind entrypb.AccessLogType, epoch uint64, end time.Time, i int) *entrypb.HTTPAccessLogEntry {
	lasted := time.Duration(20+i%40) * time.Millisecond
	took := durationpb.New(lasted)
	version := fmt.Sprintf("v%d", 1+i%2)
	id := fmt.Sprintf("f26a68f9-4152-414a-89e1-%012x", i)
	code := uint32(200)
	if i%100 == 99 {
		code = 503
	}
	e := &entrypb.HTTPAccessLogEntry{
		CommonProperties: &entrypb.AccessLogCommon{
			AccessLogType:                 kind,
			DownstreamRemoteAddress:       Address("10.1.0.9", 50804),
			DownstreamLocalAddress:        Address("10.1.0.2", 8080),
			DownstreamDirectRemoteAddress: Address("10.1.0.9", 50804),
			UpstreamRemoteAddress:         Address("10.0.0.7", uint32(8000+i%8)),
			UpstreamLocalAddress:          Address("10.1.0.2", 55472),
			StartTime:                     timestamppb.New(end.Add(-lasted - time.Duration(i%100)*time.Millisecond)),
			Duration:                      took,
			TimeToLastRxByte:              durationpb.New(400 * time.Microsecond),
			TimeToFirstUpstreamTxByte:     durationpb.New(400 * time.Microsecond),
			TimeToLastUpstreamTxByte:      durationpb.New(410 * time.Microsecond),
			TimeToFirstUpstreamRxByte:     took,
			TimeToLastUpstreamRxByte:      took,
			UpstreamCluster:               "ml/filetype/" + version,
			RouteName:                     fmt.Sprintf("ml/filetype@%d", epoch),
			CustomTags:                    map[string]string{"arm": "ml/filetype/" + version},
			DownstreamWireBytesReceived:   1580,
			DownstreamWireBytesSent:       193,
			UpstreamWireBytesSent:         2630,
			UpstreamWireBytesReceived:     170,
		},
		ProtocolVersion: entrypb.HTTPAccessLogEntry_HTTP11,
		Request: &entrypb.HTTPRequestProperties{
			RequestMethod: corepb.RequestMethod_POST, Scheme: "http", Authority: "filetype.ml", Path: "/v2/models/filetype/infer",
			UserAgent: "Go-http-client/1.1", RequestId: id, RequestHeadersBytes: 241, RequestBodyBytes: 1422,
			RequestHeaders: map[string]string{
				"x-envoy-attempt-count": "1", "x-sluice-arm": fmt.Sprintf("%s@%d", version, epoch), "x-sluice-unit": fmt.Sprintf("user-%d", i%1000),
			},
			UpstreamHeaderBytesSent: 221, DownstreamHeaderBytesReceived: 111,
		},
		Response: &entrypb.HTTPResponseProperties{
			ResponseCode: wrapperspb.UInt32(code), ResponseHeadersBytes: 120, ResponseBodyBytes: 73, DownstreamHeaderBytesSent: 134,
			ResponseHeaders: map[string]string{"x-sluice-digest": "cat"},
		},
	}
	if kind == entrypb.AccessLogType_DownstreamEnd {
		e.CommonProperties.StreamId, e.CommonProperties.UpstreamRequestAttemptCount = id, 1
		e.Response.ResponseCodeDetails = "via_upstream"
	}
	return e
}

// Address is that of a socket.
func Address(host string, port uint32) *corepb.Address {
	return &corepb.Address{Address: &corepb.Address_SocketAddress{SocketAddress: &corepb.SocketAddress{
		Address: host, PortSpecifier: &corepb.SocketAddress_PortValue{PortValue: port},
	}}}
}
