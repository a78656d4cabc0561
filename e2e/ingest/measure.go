package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"text/tabwriter"
	"time"

	logspb "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/e2e/cpu"
	"github.com/sluice-dev/sluice/e2e/ingest/corpus"
)

// goal is entries per second of one core.
const goal = 300_000

// cost is what a measurement took.
type cost struct {
	entries   int
	cpu, wall time.Duration
	allocated uint64 // bytes
	heap      uint64 // bytes, collected, when all was done
}

func (c cost) perCore() float64 { return float64(c.entries) / c.cpu.Seconds() }

// measure gives what a piece of work with so many entries costs this process.
func measure(entries int, work func() error) (cost, error) {
	c := cost{entries: entries}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	used, began := cpu.Used(), time.Now()
	if err := work(); err != nil {
		return c, err
	}
	c.cpu, c.wall = cpu.Used()-used, time.Since(began)
	runtime.GC()
	runtime.GC() // what pools hold outlives one
	runtime.ReadMemStats(&after)
	c.allocated, c.heap = after.TotalAlloc-before.TotalAlloc, after.HeapAlloc
	return c, nil
}

func (o options) measureAll(ctx context.Context, out io.Writer) error {
	dir, err := os.MkdirTemp("", "ingest")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // it holds sockets
	half, rest, err := o.measureWhole(ctx, filepath.Join(dir, "als.sock"))
	if err != nil {
		return err
	}
	receiving, err := o.measureReceiving(ctx, filepath.Join(dir, "raw.sock"))
	if err != nil {
		return err
	}
	unmarshalling, err := measureUnmarshalling(o.entries)
	if err != nil {
		return err
	}
	whole := cost{
		entries: half.entries + rest.entries, cpu: half.cpu + rest.cpu, wall: half.wall + rest.wall,
		allocated: half.allocated + rest.allocated,
	}
	ours := whole
	ours.cpu -= receiving.cpu
	ours.allocated = 0 // the two receive into buffers of different kinds
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(out, "%d access-log entries on %d streams, each request with two; %d cores\n\n", o.entries, o.streams, runtime.NumCPU())
	fmt.Fprintln(w, "\tentries per core-second\tallocated per entry\t")
	row(w, "from the socket to evidence", whole)
	row(w, "only receiving the messages", receiving)
	row(w, "from the message to evidence (the difference)", ours)
	row(w, "only unmarshalling the messages", unmarshalling)
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nheap: %s after half of them, %s after all\n", mebibytes(half.heap), mebibytes(rest.heap))
	fmt.Fprintf(out, "from the message to evidence is %.1f times as fast as unmarshalling alone; %.0f entries a second on this machine\n",
		ours.perCore()/unmarshalling.perCore(), float64(whole.entries)/whole.wall.Seconds())
	if whole.perCore() < goal {
		return fmt.Errorf("%.0f entries per core-second are less than %d", whole.perCore(), goal)
	}
	return nil
}

func row(w io.Writer, what string, c cost) {
	allocated := "-"
	if c.allocated > 0 {
		allocated = fmt.Sprintf("%d B", c.allocated/uint64(c.entries))
	}
	fmt.Fprintf(w, "%s\t%.0f\t%s\t\n", what, c.perCore(), allocated)
}

func mebibytes(n uint64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// measureWhole sends entries to a control plane from another process, in two halves.
func (o options) measureWhole(ctx context.Context, socket string) (half, rest cost, err error) {
	p, epoch, err := newPlane(ctx, socket)
	if err != nil {
		return half, rest, err
	}
	defer p.stop()
	send := func(n int) error { return o.spawn(ctx, socket, epoch, n) }
	if err := p.take(ctx, o.rounded(o.entries/10), send); err != nil {
		return half, rest, err
	}
	if o.profile != "" {
		file, err := os.Create(o.profile)
		if err != nil {
			return half, rest, err
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return half, rest, err
		}
		defer pprof.StopCPUProfile()
	}
	entries := o.rounded(o.entries / 2)
	if half, err = measure(entries, func() error { return p.take(ctx, entries, send) }); err != nil {
		return half, rest, err
	}
	rest, err = measure(entries, func() error { return p.take(ctx, entries, send) })
	return half, rest, err
}

// rounded is how many entries whole messages have.
func (o options) rounded(entries int) int {
	return entries / corpus.PerMessage / o.streams * corpus.PerMessage * o.streams
}

// take has so many entries sent, and returns when the rollout has counted them all.
func (p *plane) take(ctx context.Context, entries int, send func(entries int) error) error {
	s, _ := p.manager.Snapshot(filetype())
	want := counted(s) + int64(entries/2)
	if err := send(entries); err != nil {
		return err
	}
	return p.await(ctx, "every request counted", func(s controller.Snapshot) bool { return counted(s) >= want })
}

// spawn is send in a process of its own.
func (o options) spawn(ctx context.Context, socket string, epoch uint64, entries int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, "-socket="+socket, fmt.Sprintf("-epoch=%d", epoch),
		fmt.Sprintf("-entries=%d", entries), fmt.Sprintf("-streams=%d", o.streams))
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

// measureReceiving takes the same messages and forgets them.
func (o options) measureReceiving(ctx context.Context, socket string) (cost, error) {
	stop, err := serve(socket, []grpc.ServerOption{grpc.ForceServerCodec(raw{})}, func(r grpc.ServiceRegistrar) {
		r.RegisterService(&grpc.ServiceDesc{
			ServiceName: logspb.AccessLogService_ServiceDesc.ServiceName, HandlerType: (*any)(nil),
			Streams: []grpc.StreamDesc{{StreamName: "StreamAccessLogs", ClientStreams: true, Handler: forget}},
		}, nil)
	})
	if err != nil {
		return cost{}, err
	}
	defer stop()
	entries := o.rounded(o.entries)
	return measure(entries, func() error { return o.spawn(ctx, socket, 1, entries) })
}

func forget(_ any, stream grpc.ServerStream) error {
	var message []byte
	for {
		if err := stream.RecvMsg(&message); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// measureUnmarshalling is what any server pays that uses the generated types.
func measureUnmarshalling(entries int) (cost, error) {
	list, err := corpus.Messages("gateway-0", 1, time.Now())
	if err != nil {
		return cost{}, err
	}
	return measure(entries, func() error {
		for n := range entries / corpus.PerMessage {
			if err := proto.Unmarshal(list[n%len(list)], &logspb.StreamAccessLogsMessage{}); err != nil {
				return err
			}
		}
		return nil
	})
}
