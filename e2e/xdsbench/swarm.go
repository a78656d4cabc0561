package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoverypb "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/sluice-dev/sluice/xds"
)

// dialing is how many proxies connect at once.
const dialing = 32

// swarm is many proxies of one server.
type swarm struct {
	table   string // whose edits are waited for
	proxies int
	begins  int          // resources that a proxy is told at first
	arrived chan arrival // of the last of those, then of responses with that table
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu    sync.Mutex
	heard tally
}

// arrival is one proxy's reading of an edit.
type arrival struct{ at time.Time }

// tally counts what came to all proxies together.
type tally struct{ responses, bytes int64 }

// dial connects n proxies that subscribe to tables, and waits until each has all
// that it is told at first.
func dial(ctx context.Context, socket string, w world, n int) (*swarm, error) {
	ctx, cancel := context.WithCancel(ctx)
	s := &swarm{table: w.table(), proxies: n, arrived: make(chan arrival, 4*n), cancel: cancel}
	s.begins = len(w.cfg.Routes)
	if w.all {
		s.begins = (2+2+1)*len(w.cfg.Routes) + 1 // two clusters with their endpoints each, and the listener
	}
	var g errgroup.Group
	g.SetLimit(dialing)
	for i := range n {
		g.Go(func() error { return s.connect(ctx, socket, fmt.Sprintf("proxy-%d", i), w.subscriptions()) })
	}
	if err := g.Wait(); err != nil {
		s.close()
		return nil, err
	}
	if _, err := s.await(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// connect opens one proxy's stream.
func (s *swarm) connect(ctx context.Context, socket, id string, first []*discoverypb.DeltaDiscoveryRequest) error {
	conn, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithReadBufferSize(2<<10), grpc.WithWriteBufferSize(2<<10), grpc.WithDisableServiceConfig(), grpc.WithDisableRetry())
	if err != nil {
		return err
	}
	stream, err := discoverypb.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		return err
	}
	node := &corepb.Node{Id: id}
	for _, r := range first {
		r.Node, node = node, nil
		if err := stream.Send(r); err != nil {
			return err
		}
	}
	s.running.Go(func() {
		defer conn.Close()
		for missing := s.begins; ; {
			r, err := stream.Recv()
			if err != nil {
				return
			}
			missing = s.take(r, time.Now(), missing)
			if stream.Send(&discoverypb.DeltaDiscoveryRequest{TypeUrl: r.GetTypeUrl(), ResponseNonce: r.GetNonce()}) != nil {
				return
			}
		}
	})
	return nil
}

// subscriptions are a proxy's first requests: for the tables, or for everything,
// in Envoy's order.
func (w world) subscriptions() []*discoverypb.DeltaDiscoveryRequest {
	tables := w.tables()
	routes := &discoverypb.DeltaDiscoveryRequest{TypeUrl: string(xds.TypeRoute), ResourceNamesSubscribe: tables}
	if !w.all {
		return []*discoverypb.DeltaDiscoveryRequest{routes}
	}
	endpoints := &discoverypb.DeltaDiscoveryRequest{TypeUrl: string(xds.TypeEndpoint)}
	for _, t := range tables {
		model := "ml/" + t[:len(t)-len(".ml:8080")]
		endpoints.ResourceNamesSubscribe = append(endpoints.ResourceNamesSubscribe, model+"/v1", model+"/v2")
	}
	return []*discoverypb.DeltaDiscoveryRequest{
		{TypeUrl: string(xds.TypeCluster)}, endpoints, {TypeUrl: string(xds.TypeListener)}, {TypeUrl: string(xds.TypeScope)}, routes,
	}
}

// take counts a response, and gives what the proxy still misses of the beginning.
func (s *swarm) take(r *discoverypb.DeltaDiscoveryResponse, at time.Time, missing int) int {
	if r.GetTypeUrl() == string(xds.TypeScope) {
		return missing // they are repeated after the listener, at a time of their own
	}
	s.mu.Lock()
	s.heard.responses++
	s.heard.bytes += int64(proto.Size(r))
	s.mu.Unlock()
	edited := slices.ContainsFunc(r.GetResources(), func(r *discoverypb.Resource) bool { return r.GetName() == s.table })
	began := missing > 0 && missing <= len(r.GetResources())
	if began || missing == 0 && edited {
		s.arrived <- arrival{at}
	}
	return max(0, missing-len(r.GetResources()))
}

// await gives when each proxy read the edited table, sorted.
func (s *swarm) await(ctx context.Context) ([]time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var times []time.Time
	for range s.proxies {
		select {
		case a := <-s.arrived:
			times = append(times, a.at)
		case <-ctx.Done():
			return nil, fmt.Errorf("%d of %d proxies heard of the edit: %w", len(times), s.proxies, ctx.Err())
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	return times, nil
}

// count gives what came since the last count.
func (s *swarm) count() tally {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.heard
	s.heard = tally{}
	return t
}

func (s *swarm) close() {
	s.cancel()
	s.running.Wait()
}
