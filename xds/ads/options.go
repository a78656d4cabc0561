package ads

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

// Options let a gRPC server live with the proxies that xds.Bootstrap made: they
// ping it every ten seconds, to notice a control plane that is gone without a
// word, and gRPC's default is to hang up on whoever pings more often than every
// five minutes. Every server that such a proxy talks to needs them.
func Options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	}
}
