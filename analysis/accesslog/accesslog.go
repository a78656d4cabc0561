// Package accesslog takes Envoy's access logs and load reports over gRPC and
// turns them into requests and loads: which version, epoch, pod and attempt each
// entry speaks of, and what became of it. It never judges, bins or keeps them,
// and never answers a proxy with an error for an entry that it cannot read: it
// counts that entry by reason.
//
// Start reading at attribution.attribute (what an entry says), then entry.outcome
// and endings (what became of it), then Server.
package accesslog

import (
	"errors"
	"time"

	loadspb "github.com/envoyproxy/go-control-plane/envoy/service/load_stats/v3"
	"google.golang.org/grpc"

	"github.com/sluice-dev/sluice/analysis"
)

// Sink takes what the proxies report. Its methods are called by the goroutines of
// many streams at once, and a slow one holds back its stream: Envoy then queues
// about 16 MiB of entries before it drops any.
type Sink interface {
	// Observe takes the requests of one message, in the order they ended, or in which it
	// was told of those that run. The slice
	// is the sink's until Observe returns; its strings may be kept. Start is by the
	// proxy's clock.
	Observe(proxy string, requests []analysis.Request)
	// Report takes one load report, a Load per version that had any. The slice is the
	// sink's.
	Report(proxy string, loads []analysis.Load)
	// Stream says that an access-log stream of a proxy opened or closed. Envoy has
	// one per worker, from its first entry on.
	Stream(proxy string, open bool)
}

// Config is what a Server needs.
type Config struct {
	// Sink takes everything. Required.
	Sink Sink
	// LoadInterval is how often a proxy reports its loads. Default 1s.
	LoadInterval time.Duration
}

// Server implements Envoy's access log and load reporting services.
type Server struct {
	sink         Sink
	loadInterval time.Duration
	counters     counters
	memories     memories
}

// New checks the configuration.
func New(c Config) (*Server, error) {
	if c.Sink == nil {
		return nil, errors.New("accesslog: sink: is missing")
	}
	if c.LoadInterval < 0 {
		return nil, errors.New("accesslog: loadInterval: is negative")
	}
	if c.LoadInterval == 0 {
		c.LoadInterval = time.Second
	}
	return &Server{sink: c.Sink, loadInterval: c.LoadInterval, memories: memories{of: map[string]*told{}}}, nil
}

// Register adds both services to a gRPC server made with Options.
func (s *Server) Register(r grpc.ServiceRegistrar) {
	r.RegisterService(s.logService(), s)
	loadspb.RegisterLoadReportingServiceServer(r, loadServer{s})
}

// Options let a gRPC server take the messages that Envoy sends: as bytes, which are
// read in place, and large ones, as one entry may hold any header, and all that a
// stalled stream kept may come at once. Other services notice nothing of it.
func Options() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.ForceServerCodecV2(newCodec()), grpc.MaxRecvMsgSize(64 << 20)}
}
