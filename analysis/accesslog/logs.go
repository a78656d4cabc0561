package accesslog

import (
	"errors"
	"fmt"
	"io"
	"time"

	logspb "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	protocodec "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/sluice-dev/sluice/analysis"
)

// logService is envoy.service.accesslog.v3.AccessLogService. Its messages stay
// bytes, for which the gRPC server needs codec.
func (s *Server) logService() *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: logspb.AccessLogService_ServiceDesc.ServiceName,
		HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{
			StreamName:    "StreamAccessLogs",
			Handler:       func(_ any, stream grpc.ServerStream) error { return s.takeLogs(stream) },
			ClientStreams: true,
		}},
		Metadata: logspb.AccessLogService_ServiceDesc.Metadata,
	}
}

// takeLogs takes one worker's entries until the stream ends.
func (s *Server) takeLogs(stream grpc.ServerStream) error {
	var frame frame
	defer frame.free()
	if err := stream.RecvMsg(&frame); err != nil {
		return ended(err)
	}
	var message logMessage
	message.read(frame.bytes())
	proxy := message.node
	if proxy == "" {
		return status.Error(codes.InvalidArgument, "identifier.node.id: is empty in the stream's first message")
	}
	s.counters.streams.Add(1)
	defer s.counters.streams.Add(-1)
	s.sink.Stream(proxy, true)
	defer s.sink.Stream(proxy, false)

	memory := s.memories.open(time.Now(), proxy)
	defer func() { s.memories.close(time.Now(), memory) }()
	at := newAttribution(proxy, memory)
	var requests []analysis.Request
	for {
		requests = s.read(at, &message, requests[:0])
		s.observe(proxy, requests)
		if err := stream.RecvMsg(&frame); err != nil {
			s.observe(proxy, at.endings.rest(requests[:0]))
			return ended(err)
		}
		message.read(frame.bytes())
	}
}

// read appends what a message tells of requests.
func (s *Server) read(at *attribution, message *logMessage, requests []analysis.Request) []analysis.Request {
	s.counters.messages.Add(1)
	s.counters.entries.Add(uint64(len(message.entries)))
	if !message.whole {
		s.counters.left[noEntry].Add(1)
	}
	at.now = time.Now()
	requests = at.endings.next(requests)
	for _, entry := range message.entries {
		r, what := at.attribute(entry)
		if at.spared != nil {
			requests = append(requests, *at.spared)
			at.spared = nil
		}
		if what != attributed {
			s.counters.left[what].Add(1)
			continue
		}
		if r.Running {
			s.counters.running.Add(1)
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

// frame is a message as it came.
type frame struct{ buffer mem.Buffer }

func (f *frame) bytes() []byte { return f.buffer.ReadOnlyData() }

func (f *frame) free() {
	if f.buffer != nil {
		f.buffer.Free()
		f.buffer = nil
	}
}

// codec reads frames as they are and everything else as protobuf.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(protocodec.Name)} }

// Unmarshal keeps a frame's bytes until its next one, or free.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	f, ok := v.(*frame)
	if !ok {
		if err := c.CodecV2.Unmarshal(data, v); err != nil {
			return fmt.Errorf("%T: %w", v, err)
		}
		return nil
	}
	f.free()
	f.buffer = data.MaterializeToBuffer(mem.DefaultBufferPool())
	return nil
}
