package accesslog

import (
	"slices"
	"time"

	endpointpb "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	loadspb "github.com/envoyproxy/go-control-plane/envoy/service/load_stats/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/xds/name"
)

// loadServer is the Server as Envoy's load reporting service.
type loadServer struct{ *Server }

// StreamLoadStats asks a proxy for the loads of all its clusters and takes them
// until the stream ends.
func (s loadServer) StreamLoadStats(stream loadspb.LoadReportingService_StreamLoadStatsServer) error {
	report, err := stream.Recv()
	if err != nil {
		return ended(err)
	}
	proxy := report.GetNode().GetId()
	if proxy == "" {
		return status.Error(codes.InvalidArgument, "node.id: is empty in the stream's first message")
	}
	if len(report.GetClusterStats()) > 0 { // a proxy that comes back tells at once what it counted meanwhile
		s.report(proxy, report)
	}
	err = stream.Send(&loadspb.LoadStatsResponse{
		SendAllClusters:       true,
		LoadReportingInterval: durationpb.New(s.loadInterval),
	})
	for err == nil {
		if report, err = stream.Recv(); err == nil {
			s.report(proxy, report)
		}
	}
	return ended(err)
}

// report hands on what a report says.
func (s *Server) report(proxy string, report *loadspb.LoadStatsRequest) {
	s.counters.reports.Add(1)
	s.sink.Report(proxy, loadsOf(proxy, report, time.Now()))
}

// loadsOf reads a report of the clusters that are versions of inference routes. One that
// is for copies alone is a part of its version.
func loadsOf(proxy string, report *loadspb.LoadStatsRequest, at time.Time) []analysis.Load {
	var loads, copies []analysis.Load
	for _, c := range report.GetClusterStats() {
		route, version, err := name.ParseCluster(c.GetClusterName())
		if err != nil {
			continue // the control plane's own
		}
		load := sum(c)
		load.Route, load.Version, load.Proxy, load.At = route, version, proxy, at
		if name.IsCopies(c.GetClusterName()) {
			copies = append(copies, load)
		} else {
			loads = append(loads, load)
		}
	}
	for _, load := range copies {
		loads = add(loads, load)
	}
	return loads
}

func add(loads []analysis.Load, load analysis.Load) []analysis.Load {
	i := slices.IndexFunc(loads, func(l analysis.Load) bool { return l.Route == load.Route && l.Version == load.Version })
	if i < 0 {
		return append(loads, load)
	}
	to := &loads[i]
	to.Interval = max(to.Interval, load.Interval)
	to.Issued, to.Succeeded, to.Errored = to.Issued+load.Issued, to.Succeeded+load.Succeeded, to.Errored+load.Errored
	to.InProgress, to.Dropped = to.InProgress+load.InProgress, to.Dropped+load.Dropped
	return loads
}

// sum adds up the localities of a cluster.
func sum(c *endpointpb.ClusterStats) analysis.Load {
	load := analysis.Load{Interval: c.GetLoadReportInterval().AsDuration(), Dropped: c.GetTotalDroppedRequests()}
	for _, l := range c.GetUpstreamLocalityStats() {
		load.Issued += l.GetTotalIssuedRequests()
		load.Succeeded += l.GetTotalSuccessfulRequests()
		load.Errored += l.GetTotalErrorRequests()
		load.InProgress += l.GetTotalRequestsInProgress()
	}
	return load
}
