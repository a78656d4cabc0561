// Package orca tells load balancers how loaded a server is, in the form of the
// Open Request Cost Aggregation standard: a response header, a gRPC trailer, and
// the out-of-band service. What the numbers mean package serving decides.
//
// Start reading at Text and Service.
//
// # What Envoy makes of it
//
// client_side_weighted_round_robin weighs a host by its rps_fractional over its
// utilization. It ignores reports without a positive rps_fractional, and prefers
// a named metric that it was told of to application_utilization.
package orca

import (
	"context"
	"strconv"
	"time"

	orcapb "github.com/cncf/xds/go/xds/data/orca/v3"
	orcaservicepb "github.com/cncf/xds/go/xds/service/orca/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/sluice-dev/sluice/serving"
)

// The names under which a report travels with a response.
const (
	Header  = "Endpoint-Load-Metrics"
	Trailer = "endpoint-load-metrics-bin"
)

// queueMS is the named metric with the backlog in milliseconds.
const queueMS = "queue_ms"

// Text is the value of Header.
func Text(r serving.LoadReport) string {
	out := append(make([]byte, 0, 128), "TEXT application_utilization="...)
	out = number(out, r.Utilization)
	out = append(out, ",rps_fractional="...)
	out = number(out, r.RPS)
	out = append(out, ",eps="...)
	out = number(out, r.EPS)
	out = append(out, ",named_metrics."+queueMS+"="...)
	out = number(out, milliseconds(r.Backlog))
	return string(out)
}

func number(out []byte, v float64) []byte { return strconv.AppendFloat(out, v, 'f', 4, 64) }

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func message(r serving.LoadReport) *orcapb.OrcaLoadReport {
	return &orcapb.OrcaLoadReport{
		ApplicationUtilization: r.Utilization, RpsFractional: r.RPS, Eps: r.EPS,
		NamedMetrics: map[string]float64{queueMS: milliseconds(r.Backlog)},
	}
}

// Binary is the value of Trailer.
func Binary(r serving.LoadReport) string {
	out, err := proto.Marshal(message(r))
	if err != nil {
		return "" // numbers always have a form
	}
	return string(out)
}

// Service answers OpenRcaService: reports at the interval that the caller asks
// for, whether or not requests come.
type Service struct {
	orcaservicepb.UnimplementedOpenRcaServiceServer

	report func(context.Context) (serving.LoadReport, bool)
}

// NewService takes where reports come from; false ends the streams.
func NewService(report func(context.Context) (serving.LoadReport, bool)) *Service {
	return &Service{report: report}
}

// Register adds the service to a gRPC server.
func (s *Service) Register(to grpc.ServiceRegistrar) {
	orcaservicepb.RegisterOpenRcaServiceServer(to, s)
}

// Intervals of the service.
const (
	defaultInterval  = time.Second
	shortestInterval = 100 * time.Millisecond // so that a caller cannot keep us busy
)

// StreamCoreMetrics sends a report at once and then at every interval.
func (s *Service) StreamCoreMetrics(
	r *orcaservicepb.OrcaLoadReportRequest, stream orcaservicepb.OpenRcaService_StreamCoreMetricsServer,
) error {
	interval := defaultInterval
	if asked := r.GetReportInterval(); asked != nil {
		interval = max(asked.AsDuration(), shortestInterval)
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		report, ok := s.report(stream.Context())
		if !ok {
			return nil
		}
		if err := stream.Send(message(report)); err != nil {
			return err
		}
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-ticker.C:
		}
	}
}
