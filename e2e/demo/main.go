// Command demo tells three rollouts of a real model on a real Envoy, side by
// side: a good version that is promoted, one that fails and one that is only
// slower, which are rolled back. Users are open-loop load that asks about real
// files. It decides nothing: it writes manifests, sends requests, and prints what
// the control plane does. Everything it starts ends with it.
//
// Start reading at demo.run, then telling.tell.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluice-dev/sluice/e2e/cpu"
	"github.com/sluice-dev/sluice/e2e/stage"
)

func main() {
	var o options
	flag.Uint64Var(&o.seed, "seed", 1, "`number` that fixes files, arrivals and which answers fail")
	flag.StringVar(&o.out, "out", ".demo", "`folder` for the report, reviews, manifests, state and logs; emptied at the start")
	flag.BoolVar(&o.keep, "keep", false, "leave the servers running at the end, until Ctrl-C")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

type options struct {
	seed uint64
	out  string
	keep bool
}

// run shows the whole demo. It fails unless all stories ended as expected.
func run(ctx context.Context, o options, out io.Writer) error {
	s, err := claim(ctx, o.out)
	if err != nil {
		return err
	}
	d := &demo{options: o, scene: s, printer: &printer{to: out, began: time.Now()}}
	err = d.show(ctx)
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case err != nil:
		d.explain()
	}
	err = errors.Join(err, s.close(ctx))
	d.sayf("every process has ended; %s", d.used())
	return err
}

// demo is one showing.
type demo struct {
	options
	*scene
	*printer
	tellings []*telling
}

func (d *demo) show(ctx context.Context) error {
	d.introduce()
	if err := d.build(ctx, d.seed); err != nil {
		return err
	}
	d.sayf("users ask about %d real files of %d kinds on 127.0.0.1:%d; the live page is %s", len(d.input.bodies), d.input.kinds, d.port, d.plane.API)
	told := d.tell(ctx)
	if ctx.Err() != nil {
		return told
	}
	verdict := d.conclude(ctx)
	if d.keep && told == nil {
		d.sayf("everything runs on (--keep): Ctrl-C ends it")
		<-ctx.Done()
	}
	return errors.Join(told, verdict)
}

// introduce says what is about to happen, and by which rules.
func (d *demo) introduce() {
	d.block("Three rollouts of a file type model, " + model + " " + stable + " → " + candidate + ", side by side on one Envoy:\n\n")
	for _, s := range stories() {
		d.block(fmt.Sprintf("  %-6s  %-52s  expected: %s\n", s.Name, s.About, s.Expected))
	}
	d.block("\nWhat judges them (e2e/demo/policy.yaml):\n\n" + string(policyYAML) + "\n")
	d.sayf("starting model servers, control plane and Envoy; all they write is in %s", d.scene.out)
}

// tell tells all stories at once. A control plane that dies ends them.
func (d *demo) tell(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	done := make(chan struct{})
	var stories errgroup.Group
	for i, m := range d.manifests {
		t := &telling{story: m.Story, manifest: m, client: d.plane.Client(), out: d.printer}
		d.tellings = append(d.tellings, t)
		load := stage.Load{
			URL:  fmt.Sprintf("http://127.0.0.1:%d/v2/models/%s/infer", d.port, model),
			Host: m.Story.Host(), Rate: m.Story.Rate, Seed: d.seed*10 + uint64(i),
			Bodies: d.input.bodies, Heard: t.record.Add,
		}
		stories.Go(func() error { return t.tell(ctx, d.routes(), load) })
	}
	group.Go(func() error {
		defer close(done)
		return stories.Wait()
	})
	group.Go(func() error {
		select {
		case <-d.plane.Ended():
			return fmt.Errorf("the control plane ended by itself: %s", d.plane.Tail())
		case <-done:
			return nil
		}
	})
	return group.Wait()
}

// conclude writes the report, and says whether all ended as expected.
func (d *demo) conclude(ctx context.Context) error {
	r := report{Seed: d.seed}
	var errs []error
	d.block("\n")
	for _, t := range d.tellings {
		one := t.result(d.state())
		r.Stories = append(r.Stories, one)
		if t.finished == nil {
			errs = append(errs, fmt.Errorf("%s: %s was expected, and the rollout did not end", t.Name, t.Expected))
			continue
		}
		errs = append(errs, t.proven(*t.finished), one.reviewed(ctx))
		d.block(one.text(t))
	}
	errs = append(errs, r.write(d.scene.report()))
	d.block(fmt.Sprintf("\n  report  %s\n\n", d.scene.report()))
	return errors.Join(errs...)
}

// text is a result for people.
func (r result) text(t *telling) string {
	return fmt.Sprintf("  %-6s  %s by %s: %s\n          exposure %.1f s, %d of %d requests to the candidate, %d failed\n          %s\n",
		r.Name, r.Outcome, t.finished.Cause, short(t.finished.Reason),
		r.ExposureSeconds, r.CandidateRequests, r.TotalRequests, r.UserFailures,
		filepath.Join(filepath.Dir(r.Review), "review.html"))
}

// explain says what is known of a demo that went wrong.
func (d *demo) explain() {
	d.block("\nWhat was last known:\n")
	for _, t := range d.tellings {
		d.block(fmt.Sprintf("  %s: %s\n", t.Name, t.status()))
	}
	logs, err := filepath.Glob(filepath.Join(d.logs(), "*.log"))
	if err != nil {
		return // the pattern is a constant
	}
	for _, log := range append(logs, filepath.Join(d.state(), "envoy.log")) {
		d.tail(log)
	}
}

// tail prints the end of a log: the control plane's and Envoy's always, a model
// server's only where it says that something went wrong.
func (d *demo) tail(log string) {
	tail := (&stage.Process{Log: log}).Tail()
	name := filepath.Base(log)
	if name == "sluice.log" || name == "envoy.log" || strings.Contains(tail, "ERROR") || !strings.Contains(tail, `"ready"`) {
		d.block(fmt.Sprintf("\nThe end of %s:\n%s\n", log, tail))
	}
}

// used says how busy the machine was kept.
func (d *demo) used() string {
	var servers, plane time.Duration
	if d.fleet != nil {
		servers = d.fleet.Used()
	}
	if d.plane != nil {
		plane = d.plane.Used()
	}
	past := time.Since(d.began)
	return fmt.Sprintf("processor time: model servers %.0f s, control plane with Envoy %.0f s, users %.0f s, in %.0f s",
		servers.Seconds(), plane.Seconds(), cpu.Used().Seconds(), past.Seconds())
}
