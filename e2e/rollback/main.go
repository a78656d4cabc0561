// Command rollback measures how long a bad version hurts users: real rollouts by
// `sluice run` on a real Envoy, under open-loop load, of versions that fail or are
// slow. The model servers are stand-ins inside this process, which take the time
// a model would and fail on demand, so that two cores are enough. It judges by
// what users got, prints where the time went, and ends with 1 if a goal is missed.
//
// Start reading at scenarios, then trial.run, then measure.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	var o options
	flag.StringVar(&o.scenario, "scenario", "", "only the scenario of this `name`: S1, S1-late, S2 or S3 (default all)")
	flag.IntVar(&o.runs, "runs", 0, "`number` of rollouts of each scenario (default 20, of S2 60: its times vary most)")
	flag.IntVar(&o.parallel, "parallel", 4, "`number` of rollouts side by side, each with a control plane and an Envoy of its own")
	flag.IntVar(&o.load, "load", 0, "keep the machine busy: `number` of endless loops beside; S1 only, one rollout at a time")
	flag.Uint64Var(&o.seed, "seed", 1, "`number` that fixes arrivals, service times and errors")
	flag.StringVar(&o.output, "o", "text", "`format` of the results: text or json")
	flag.BoolVar(&o.spin, "spin", false, "be one of the endless loops of -load, until the standard input ends")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "rollback:", err)
		os.Exit(1)
	}
}

type options struct {
	scenario       string
	runs, parallel int
	load           int
	seed           uint64
	output         string
	spin           bool
}

var errMissed = errors.New("a goal is missed")

// chosen are the scenarios asked for.
func (o options) chosen() ([]scenario, error) {
	if o.runs < 0 || o.parallel < 1 || o.load < 0 {
		return nil, fmt.Errorf("-parallel: at least 1, -runs and -load: not negative, found %d, %d, %d", o.parallel, o.runs, o.load)
	}
	if o.output != "text" && o.output != "json" {
		return nil, fmt.Errorf("-o: is not text or json, found %q", o.output)
	}
	if o.load > 0 {
		return []scenario{busy(o.load)}, nil
	}
	var list []scenario
	for _, s := range scenarios() {
		if o.scenario == "" || o.scenario == s.Name {
			list = append(list, s)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("-scenario: is not one of S1, S1-late, S2 and S3, found %q", o.scenario)
	}
	return list, nil
}

func run(ctx context.Context, o options) error {
	if o.spin {
		return spin(os.Stdin)
	}
	list, err := o.chosen()
	if err != nil {
		return err
	}
	b, err := newBench(o, os.Stderr)
	if err != nil {
		return err
	}
	if o.load > 0 {
		stop, err := keepBusy(ctx, o.load, os.Stderr)
		if err != nil {
			return err
		}
		defer stop()
	}
	missed := false
	var all []result
	for _, s := range list {
		results, err := b.race(ctx, s)
		if err != nil {
			return err
		}
		all = append(all, results...)
		t := s.table(results)
		missed = missed || t.missed()
		if o.output == "text" {
			t.print(os.Stdout)
		}
	}
	if o.output == "json" {
		err = printJSON(os.Stdout, all)
	}
	if missed {
		err = errors.Join(err, errMissed)
	}
	return err
}

func printJSON(w io.Writer, results []result) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(results)
}
