package accesslog

import (
	"errors"
	"io"

	logspb "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sluice-dev/sluice/analysis"
)

// logServer is the Server as Envoy's access log service.
type logServer struct{ *Server }

// StreamAccessLogs takes one worker's entries until the stream ends.
func (s logServer) StreamAccessLogs(stream logspb.AccessLogService_StreamAccessLogsServer) error {
	message, err := stream.Recv()
	if err != nil {
		return ended(err)
	}
	proxy := message.GetIdentifier().GetNode().GetId()
	if proxy == "" {
		return status.Error(codes.InvalidArgument, "identifier.node.id: is empty in the stream's first message")
	}
	s.counters.streams.Add(1)
	defer s.counters.streams.Add(-1)
	s.sink.Stream(proxy, true)
	defer s.sink.Stream(proxy, false)

	at := newAttribution(proxy)
	var requests []analysis.Request
	for err == nil {
		requests = s.read(at, message, requests[:0])
		s.observe(proxy, requests)
		message, err = stream.Recv()
	}
	s.observe(proxy, at.endings.rest(requests[:0]))
	return ended(err)
}

// read appends what a message tells of requests.
func (s *Server) read(at *attribution, message *logspb.StreamAccessLogsMessage, requests []analysis.Request) []analysis.Request {
	entries := message.GetHttpLogs().GetLogEntry()
	s.counters.messages.Add(1)
	s.counters.entries.Add(uint64(len(entries)))
	requests = at.endings.next(requests)
	for _, entry := range entries {
		r, what := at.attribute(entry)
		if what != attributed {
			s.counters.left[what].Add(1)
			continue
		}
		requests = append(requests, r)
	}
	return requests
}

func (s *Server) observe(proxy string, requests []analysis.Request) {
	if len(requests) == 0 {
		return
	}
	s.counters.requests.Add(uint64(len(requests)))
	s.sink.Observe(proxy, requests)
}

// ended is how a stream that the proxy closed ends.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
