package main

import (
	"context"
	"slices"
	"strconv"
	"sync"

	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routepb "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discoverypb "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/delta/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/sluice-dev/sluice/xds"
	"github.com/sluice-dev/sluice/xds/ads"
)

// sluice is xds/ads, its translation included.
type sluice struct {
	*ads.Server

	w world
}

func newSluice(w world) (server, error) {
	s, err := ads.New(ads.Config{})
	if err != nil {
		return nil, err
	}
	return &sluice{s, w}, s.Publish(w.cfg, w.splits(0))
}

// Edit is what the rollout machine's Publisher does.
func (s *sluice) Edit(edit int) error { return s.Publish(s.w.cfg, s.w.splits(edit)) }

// stock is a server of go-control-plane's.
type stock struct {
	discoverypb.UnimplementedAggregatedDiscoveryServiceServer

	streams delta.Server
	edit    func(edit int) error
}

func newStock(c cache.Cache, edit func(int) error) *stock {
	return &stock{streams: delta.NewServer(context.Background(), c, nil), edit: edit}
}

// Register serves the cache.
func (s *stock) Register(g *grpc.Server) { discoverypb.RegisterAggregatedDiscoveryServiceServer(g, s) }

// DeltaAggregatedResources serves one proxy.
func (s *stock) DeltaAggregatedResources(stream discoverypb.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	return s.streams.DeltaStreamHandler(stream, "")
}

// Edit writes to the cache.
func (s *stock) Edit(edit int) error { return s.edit(edit) }

// Run has nothing to do.
func (s *stock) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func newLinear(w world) (server, error) {
	tables, err := w.messages(0)
	if err != nil {
		return nil, err
	}
	initial := map[string]types.Resource{}
	for n, m := range tables {
		initial[n] = m
	}
	linear := cache.NewLinearCache(string(xds.TypeRoute), cache.WithInitialResources(initial))
	all := func(string) string { return "routes" }
	mux := &cache.MuxCache{
		Classify:      func(r *cache.Request) string { return all(r.GetTypeUrl()) },
		ClassifyDelta: func(r *cache.DeltaRequest) string { return all(r.GetTypeUrl()) },
		Caches:        map[string]cache.Cache{"routes": linear},
	}
	return newStock(mux, func(edit int) error { return linear.UpdateResource(w.table(), w.weigh(tables[w.table()], edit)) }), nil
}

// oneForAll has every node get the same snapshot.
type oneForAll struct{}

// ID is the same for all.
func (oneForAll) ID(*corepb.Node) string { return "all" }

func newSnapshot(w world) (server, error) {
	tables, err := w.messages(0)
	if err != nil {
		return nil, err
	}
	snapshots := cache.NewSnapshotCache(true, oneForAll{}, nil)
	base := tables[w.table()]
	set := func(edit int) error {
		tables[w.table()] = w.weigh(base, edit)
		list := make([]types.Resource, 0, len(tables))
		for _, m := range tables {
			list = append(list, m)
		}
		snapshot, err := cache.NewSnapshot(strconv.Itoa(edit), map[string][]types.Resource{string(xds.TypeRoute): list})
		if err != nil {
			return err
		}
		return snapshots.SetSnapshot(context.Background(), "all", snapshot)
	}
	return newStock(snapshots, set), set(0)
}

// raw does what no server can omit: it marshals an edit once, writes the same
// bytes and a nonce of its own to every stream, and reads the answers.
type raw struct {
	discoverypb.UnimplementedAggregatedDiscoveryServiceServer

	w      world
	tables map[string]*routepb.RouteConfiguration

	mu      sync.Mutex
	streams []*rawStream
}

type rawStream struct {
	discoverypb.AggregatedDiscoveryService_DeltaAggregatedResourcesServer

	nonce int
}

func newRaw(w world) (server, error) {
	tables, err := w.messages(0)
	return &raw{w: w, tables: tables}, err
}

// Register serves it.
func (s *raw) Register(g *grpc.Server) { discoverypb.RegisterAggregatedDiscoveryServiceServer(g, s) }

// Run has nothing to do.
func (s *raw) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// DeltaAggregatedResources answers the first request and reads the others.
func (s *raw) DeltaAggregatedResources(stream discoverypb.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	shared, err := s.encode(first.GetResourceNamesSubscribe(), 0)
	if err != nil {
		return err
	}
	own := &rawStream{AggregatedDiscoveryService_DeltaAggregatedResourcesServer: stream}
	if err := own.write(shared); err != nil {
		return err
	}
	s.mu.Lock()
	s.streams = append(s.streams, own)
	s.mu.Unlock()
	for {
		if _, err := stream.Recv(); err != nil {
			return err
		}
	}
}

// Edit writes to every stream.
func (s *raw) Edit(edit int) error {
	shared, err := s.encode([]string{s.w.table()}, edit)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, stream := range s.streams {
		if err := stream.write(shared); err != nil {
			return err
		}
	}
	return nil
}

// write sends a response. Fields of a message may come in any order, so what is
// shared is a part of its bytes.
func (s *rawStream) write(shared []byte) error {
	s.nonce++
	m := &discoverypb.DeltaDiscoveryResponse{Nonce: strconv.Itoa(s.nonce)}
	m.ProtoReflect().SetUnknown(shared)
	return s.Send(m)
}

// encode gives the bytes of a response without a nonce.
func (s *raw) encode(names []string, edit int) ([]byte, error) {
	m := &discoverypb.DeltaDiscoveryResponse{TypeUrl: string(xds.TypeRoute)}
	for _, n := range slices.Sorted(slices.Values(names)) {
		table := s.tables[n]
		if n == s.w.table() {
			table = s.w.weigh(table, edit)
		}
		body, err := proto.Marshal(table)
		if err != nil {
			return nil, err
		}
		m.Resources = append(m.Resources, &discoverypb.Resource{
			Name: n, Version: strconv.Itoa(edit), Resource: &anypb.Any{TypeUrl: string(xds.TypeRoute), Value: body},
		})
	}
	return proto.Marshal(m)
}
