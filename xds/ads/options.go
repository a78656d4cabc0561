package ads

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

// Options let a gRPC server live with the proxies that xds.Bootstrap made: they
// ping it every ten seconds, to notice a control plane that is gone without a
// word, and gRPC's default is to hang up on whoever pings more often than every
// five minutes. The server pings as well, so that a proxy whose machine is gone
// is not waited for. Buffers are small: ten thousand proxies have one connection
// each, and say little. Every server that such a proxy talks to needs them.
func Options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}),
		grpc.ReadBufferSize(4 << 10),
		grpc.WriteBufferSize(4 << 10),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	}
}
