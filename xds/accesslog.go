package xds

import (
	"time"

	accesslogpb "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	grpclogpb "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/grpc/v3"
	tracingpb "github.com/envoyproxy/go-control-plane/envoy/type/tracing/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sluice-dev/sluice/xds/name"
)

const (
	logName = "sluice"
	// logFlush bounds how long an entry of a quiet candidate waits in a proxy.
	logFlush = 50 * time.Millisecond
	// runningFlush is how often an attempt that still runs is told of: the first byte of a
	// long generation comes long before its last, and that of a server that hangs never.
	// Envoy 1.40 sends these entries with the time to the first byte, the cluster, the host
	// and the stamps, but without a duration: only a tag says when they were written.
	runningFlush = time.Second
	// logRetries lets a stream move to a second log server without loss.
	logRetries = 3
)

// accessLogs sends one entry per request, and as the router's upstream log one
// per attempt, with the stamps that say which version and epoch it was.
func accessLogs() ([]*accesslogpb.AccessLog, error) {
	config, err := pack(&grpclogpb.HttpGrpcAccessLogConfig{
		CommonConfig: &grpclogpb.CommonGrpcAccessLogConfig{
			LogName:             logName,
			TransportApiVersion: corepb.ApiVersion_V3,
			BufferFlushInterval: duration(logFlush),
			GrpcService: &corepb.GrpcService{TargetSpecifier: &corepb.GrpcService_EnvoyGrpc_{
				EnvoyGrpc: &corepb.GrpcService_EnvoyGrpc{ClusterName: ClusterALS},
			}},
			GrpcStreamRetryPolicy: &corepb.RetryPolicy{NumRetries: wrapperspb.UInt32(logRetries)},
			// upstream_cluster is empty where no upstream was chosen; this tag is not.
			CustomTags: []*tracingpb.CustomTag{
				{Tag: name.TagArm, Type: &tracingpb.CustomTag_Value{Value: "%UPSTREAM_CLUSTER_RAW%"}},
				{Tag: name.TagAge, Type: &tracingpb.CustomTag_Value{Value: "%DURATION%"}},
			},
		},
		AdditionalRequestHeadersToLog: []string{name.HeaderArm, name.HeaderShadow, name.HeaderSegment, name.HeaderUnit, "x-envoy-attempt-count"},
		// Where Envoy knows no cluster of that name, only the answer's stamp says which
		// version it would have been.
		AdditionalResponseHeadersToLog:  []string{"grpc-status", name.HeaderServed, name.HeaderDigest, name.HeaderTokens},
		AdditionalResponseTrailersToLog: []string{"grpc-status", name.HeaderDigest, name.HeaderTokens},
	})
	if err != nil {
		return nil, err
	}
	return []*accesslogpb.AccessLog{{
		Name:       "envoy.access_loggers.http_grpc",
		ConfigType: &accesslogpb.AccessLog_TypedConfig{TypedConfig: config},
	}}, nil
}
