// Package tap takes the answers to copied requests from Envoy, whole, so that their bodies
// can be compared: the external processor of clusters that nothing but copies goes to.
// Nobody waits for it, and it changes nothing. It never sees an answer that a user
// waits for, and keeps none.
//
// Start reading at Server.Process, then answer.
package tap

import (
	"errors"
	"io"
	"strconv"
	"sync/atomic"

	procpb "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/xds/name"
)

// Sink takes answers. It is called by the goroutines of many streams at once.
type Sink interface {
	// Copied takes the answer to a copy that came whole. It is the sink's.
	Copied(c analysis.Copy)
}

// Config is what a Server needs.
type Config struct {
	// Sink takes everything. Required.
	Sink Sink
	// Longest is how many bytes of a body are read. Default analysis.LongestBody.
	Longest int
	// Most is how many answers are read at once; further ones are passed over. Default
	// 4096.
	Most int64
	// Held is how many bytes of bodies are held at once; answers that go beyond are passed
	// over. Default 64 MiB.
	Held int64
}

// Server implements Envoy's external processing service, for answers that are only read.
type Server struct {
	procpb.UnimplementedExternalProcessorServer

	config Config
	open   atomic.Int64
	held   atomic.Int64 // bytes
}

// New checks the configuration.
func New(c Config) (*Server, error) {
	if c.Sink == nil {
		return nil, errors.New("tap: sink: is missing")
	}
	if c.Longest < 0 || c.Most < 0 || c.Held < 0 {
		return nil, errors.New("tap: longest, most and held: are not above 0")
	}
	if c.Longest == 0 {
		c.Longest = analysis.LongestBody
	}
	if c.Most == 0 {
		c.Most = 4096
	}
	if c.Held == 0 {
		c.Held = 64 << 20
	}
	return &Server{config: c}, nil
}

// Register adds the service to a gRPC server.
func (s *Server) Register(r grpc.ServiceRegistrar) { procpb.RegisterExternalProcessorServer(r, s) }

// Process reads one answer.
func (s *Server) Process(stream procpb.ExternalProcessor_ProcessServer) error {
	if s.open.Add(1) > s.config.Most {
		s.open.Add(-1)
		return status.Error(codes.ResourceExhausted, "too many answers are read at once")
	}
	defer s.open.Add(-1)
	a := answer{longest: s.config.Longest}
	if !a.from(metadata.ValueFromIncomingContext(stream.Context(), name.MetadataCluster)) {
		return status.Errorf(codes.InvalidArgument, "%s: names no version", name.MetadataCluster)
	}
	had := 0
	defer func() { s.held.Add(int64(-had)) }()
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) { // it was cut off
			return nil
		}
		if err != nil {
			return err
		}
		last := a.take(message)
		more := len(a.Body) - had
		had += more
		switch {
		case s.held.Add(int64(more)) > s.config.Held:
			return status.Error(codes.ResourceExhausted, "too much of answers is held at once")
		case last:
			s.heard(a.Copy)
			return nil // Envoy would keep the stream for longer
		}
	}
}

func (s *Server) heard(c analysis.Copy) {
	if c.ID != "" && c.Epoch != 0 {
		s.config.Sink.Copied(c)
	}
}

// answer is one in the making.
type answer struct {
	analysis.Copy

	longest int
}

// from reads which version answers.
func (a *answer) from(cluster []string) bool {
	if len(cluster) != 1 {
		return false
	}
	var err error
	a.Route, a.Version, err = name.ParseCluster(cluster[0])
	return err == nil
}

// take adds a part of it, and says whether that is the last that is of use.
func (a *answer) take(message *procpb.ProcessingRequest) (last bool) {
	switch {
	case message.GetResponseHeaders() != nil:
		for _, of := range message.GetAttributes() {
			a.request(of.GetFields())
		}
		for _, h := range message.GetResponseHeaders().GetHeaders().GetHeaders() {
			if h.GetKey() == ":status" {
				a.Status, _ = strconv.Atoi(string(h.GetRawValue())) // 0 is none
			}
		}
		return message.GetResponseHeaders().GetEndOfStream()
	case message.GetResponseBody() != nil:
		part := message.GetResponseBody().GetBody()
		if a.Long = len(a.Body)+len(part) > a.longest; a.Long {
			a.Body = nil
			return true
		}
		a.Body = append(a.Body, part...)
		return message.GetResponseBody().GetEndOfStream()
	case message.GetResponseTrailers() != nil:
		return true
	}
	return false
}

// request reads which one was copied.
func (a *answer) request(attributes map[string]*structpb.Value) {
	a.ID = attributes[name.AttributeID].GetStringValue()
	a.Second = attributes[name.AttributeCopy].GetStringValue() == "2"
	if _, epoch, err := name.ParseArm(attributes[name.AttributeShadow].GetStringValue()); err == nil {
		a.Epoch = epoch
	}
}
