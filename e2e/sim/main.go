// Command sim tries rollouts in seeded worlds under virtual time, with the
// controller, the machine and the statistics that run in earnest. It prints how
// often healthy versions trip and are rolled back, with Clopper-Pearson bounds, how
// long harmful ones hurt users, and what dies and gets lost in chaos, and fails where
// a limit is broken. It touches no network: equal seeds give equal tables.
//
// Start reading at scenarios, then summary.broken, then chaos.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/world"
)

func main() {
	seed := flag.Uint64("seed", 1, "`seed` of the first trial of each scenario")
	part := flag.Float64("part", 1, "part of the trials to run, above `0` to 1")
	only := flag.String("only", "", "the one `scenario` to run")
	trade := flag.Bool("curve", false, "print what trip.level trades instead, a part of the trials per level")
	flag.Parse()
	var err error
	if *trade {
		err = curve(os.Stdout, *seed, *part)
	} else {
		err = run(os.Stdout, *seed, *part, *only)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sim:", err)
		os.Exit(1)
	}
}

// run prints a line per scenario as it ends, and gives what is broken.
func run(out io.Writer, seed uint64, part float64, only string) error {
	var broken []error
	for _, s := range scenarios() {
		if only != "" && only != s.name {
			continue
		}
		n := max(1, int(float64(s.trials)*part))
		started := time.Now()
		results, err := tryAll(s, seed, n)
		if err != nil {
			return err
		}
		sum := summarise(s, results)
		fmt.Fprintf(out, "%s\n  (%s of computing)\n", sum, time.Since(started).Round(time.Second))
		broken = append(broken, sum.broken(proven)...)
	}
	if only == "" || only == "chaos" {
		broken = append(broken, tryChaos(out, seed, max(1, int(chaosTrials*part))))
	}
	return join(broken)
}

// tryChaos prints how n trials ended in which things die and are lost.
func tryChaos(out io.Writer, seed uint64, n int) error {
	ended, deaths := map[canary.Outcome]int{}, 0
	results, chaoses := make([]error, n), make([]*chaos, n)
	onEveryCore(n, func(i int) {
		if chaoses[i], results[i] = newChaos(seed + uint64(i)); results[i] != nil {
			return
		}
		if err := chaoses[i].run(); err != nil {
			results[i] = fmt.Errorf("chaos, seed %d: %w", seed+uint64(i), err)
		}
	})
	for i, c := range chaoses {
		if results[i] == nil {
			ended[c.trial.Result().Outcome]++
			deaths += c.deaths
		}
	}
	fmt.Fprintln(out, "chaos: acks and log entries get lost, the store fails, the control plane dies at any effect")
	fmt.Fprintf(out, "  %d trials, %d deaths: promoted %d, rolled back %d, open %d\n",
		n, deaths, ended[canary.OutcomePromoted], ended[canary.OutcomeRolledBack], ended[""])
	return join(results)
}

// tryAll runs n trials of consecutive seeds.
func tryAll(s scenario, seed uint64, n int) ([]world.Result, error) {
	results, errs := make([]world.Result, n), make([]error, n)
	onEveryCore(n, func(i int) { results[i], errs[i] = s.try(seed + uint64(i)) })
	return results, join(errs)
}

func onEveryCore(n int, do func(i int)) {
	var wg sync.WaitGroup
	cores := runtime.GOMAXPROCS(0)
	for core := range cores {
		wg.Go(func() {
			for i := core; i < n; i += cores {
				do(i)
			}
		})
	}
	wg.Wait()
}
