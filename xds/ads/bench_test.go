package ads_test

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoverypb "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
	"github.com/sluice-dev/sluice/xds/ads"
)

// BenchmarkEdit measures one weight, from Publish until the last of the proxies
// has acknowledged it. Each proxy subscribes to every table.
func BenchmarkEdit(b *testing.B) {
	for _, size := range []struct{ proxies, routes int }{{1, 1}, {1, 200}, {1000, 1}, {1000, 200}} {
		b.Run(fmt.Sprintf("%d proxies of %d routes", size.proxies, size.routes), func(b *testing.B) {
			acked := make(chan ads.Acked, 1<<16)
			server, err := ads.New(ads.Config{AckTimeout: time.Minute, Notify: func(e ads.Event) {
				if a, ok := e.(ads.Acked); ok && a.Proxies == size.proxies {
					acked <- a
				}
			}})
			require.NoError(b, err)
			dial := serveOnSocket(b, server)
			cfg, splits, tables := manyRoutes(size.routes)
			require.NoError(b, server.Publish(cfg, splits))
			for i := range size.proxies {
				swarm(b, dial, fmt.Sprintf("p%d", i), tables)
			}
			for range size.routes {
				<-acked
			}
			changing := cfg.Routes[size.routes/2].Key
			epoch := uint64(1)
			for b.Loop() {
				epoch++
				splits[changing] = config.Split{Epoch: epoch, Shares: config.Carve("v1", "v2", uint32(epoch%9999)+1, 0)}
				require.NoError(b, server.Publish(cfg, splits))
				for a := range acked {
					if a.Route == changing && a.Epoch == epoch {
						break
					}
				}
			}
		})
	}
}

func manyRoutes(n int) (*config.Config, map[config.Key]config.Split, []string) {
	cfg, splits := configOf(), map[config.Key]config.Split{}
	var tables []string
	for i := range n {
		r := route(fmt.Sprintf("model-%03d", i), "v1", "v2")
		cfg.Routes = append(cfg.Routes, r)
		splits[r.Key] = config.Split{Epoch: 1, Shares: config.Whole("v1")}
		tables = append(tables, r.Hostnames[0]+":8080")
	}
	return cfg, splits, tables
}

func serveOnSocket(b *testing.B, server *ads.Server) func() *grpc.ClientConn {
	b.Helper()
	listener, err := net.Listen("unix", filepath.Join(b.TempDir(), "xds.sock"))
	require.NoError(b, err)
	g := grpc.NewServer(ads.Options()...)
	server.Register(g)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = g.Serve(listener) })
	running.Go(func() { _ = server.Run(ctx) })
	b.Cleanup(func() {
		cancel()
		g.Stop()
		running.Wait()
	})
	return func() *grpc.ClientConn {
		conn, err := grpc.NewClient("unix:"+listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		require.NoError(b, err)
		b.Cleanup(func() { _ = conn.Close() })
		return conn
	}
}

// swarm is a proxy that subscribes to tables and acknowledges everything.
func swarm(b *testing.B, dial func() *grpc.ClientConn, id string, tables []string) {
	b.Helper()
	stream, err := discoverypb.NewAggregatedDiscoveryServiceClient(dial()).DeltaAggregatedResources(context.Background())
	require.NoError(b, err)
	require.NoError(b, stream.Send(&discoverypb.DeltaDiscoveryRequest{
		Node: &corepb.Node{Id: id}, TypeUrl: string(xds.TypeRoute), ResourceNamesSubscribe: tables,
	}))
	go func() {
		for {
			r, err := stream.Recv()
			if err != nil {
				return
			}
			if stream.Send(&discoverypb.DeltaDiscoveryRequest{TypeUrl: r.GetTypeUrl(), ResponseNonce: r.GetNonce()}) != nil {
				return
			}
		}
	}()
}
