package envoy

import (
	"context"
	"slices"
	"time"

	datapb "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	accesslogpb "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	loadpb "github.com/envoyproxy/go-control-plane/envoy/service/load_stats/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sluice-dev/sluice/xds/ads"
	"github.com/sluice-dev/sluice/xds/envoy"
)

// Logs takes what the Envoy of a stage says about its requests.
type Logs struct {
	accesslogpb.UnimplementedAccessLogServiceServer
	loadpb.UnimplementedLoadReportingServiceServer

	Entries chan *datapb.HTTPAccessLogEntry
	Loads   chan *loadpb.LoadStatsRequest
	kept    []*datapb.HTTPAccessLogEntry
}

// StartLogs opens the log and load report services of a stage.
func (s *Stage) StartLogs() *Logs {
	s.t.Helper()
	l := &Logs{Entries: make(chan *datapb.HTTPAccessLogEntry, 10_000), Loads: make(chan *loadpb.LoadStatsRequest, 1000)}
	listener, err := envoy.Listen(s.Folder.ALS())
	if err != nil {
		s.t.Fatal(err)
	}
	g := grpc.NewServer(ads.Options()...)
	accesslogpb.RegisterAccessLogServiceServer(g, l)
	loadpb.RegisterLoadReportingServiceServer(g, l)
	b := &backstage{}
	b.running.Go(func() { _ = g.Serve(listener) })
	b.run(func(ctx context.Context) error {
		<-ctx.Done()
		g.Stop()
		return nil
	})
	s.t.Cleanup(b.stop)
	return l
}

// StreamAccessLogs takes one worker's entries.
func (l *Logs) StreamAccessLogs(stream accesslogpb.AccessLogService_StreamAccessLogsServer) error {
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		for _, e := range m.GetHttpLogs().GetLogEntry() {
			l.Entries <- e
		}
	}
}

// StreamLoadStats asks for every cluster's counts, often.
func (l *Logs) StreamLoadStats(stream loadpb.LoadReportingService_StreamLoadStatsServer) error {
	if _, err := stream.Recv(); err != nil {
		return err
	}
	if err := stream.Send(&loadpb.LoadStatsResponse{SendAllClusters: true, LoadReportingInterval: durationpb.New(100 * time.Millisecond)}); err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		l.Loads <- m
	}
}

// next waits for an entry and keeps the others for later calls.
func (l *Logs) next(s *Stage, what string, wanted func(*datapb.HTTPAccessLogEntry) bool) *datapb.HTTPAccessLogEntry {
	s.t.Helper()
	if i := slices.IndexFunc(l.kept, wanted); i >= 0 {
		e := l.kept[i]
		l.kept = slices.Delete(l.kept, i, i+1)
		return e
	}
	timeout := time.After(patience)
	for {
		select {
		case e := <-l.Entries:
			if wanted(e) {
				return e
			}
			l.kept = append(l.kept, e)
		case <-timeout:
			s.t.Fatalf("%s: no log entry within %v", what, patience)
		}
	}
}
