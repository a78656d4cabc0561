// Command sim tries rollouts in seeded worlds under virtual time, with the
// controller, the machine and the statistics that run in earnest. It prints how
// often healthy versions trip and are rolled back, with Clopper-Pearson bounds, how
// long harmful ones hurt users, and fails where a limit is broken. It touches no
// network and no clock: equal seeds give equal tables.
//
// Start reading at scenarios, then summary.broken.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

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
	return join(broken)
}

// tryAll runs n trials of consecutive seeds on every core.
func tryAll(s scenario, seed uint64, n int) ([]world.Result, error) {
	results, errs := make([]world.Result, n), make([]error, n)
	var wg sync.WaitGroup
	cores := runtime.GOMAXPROCS(0)
	for core := range cores {
		wg.Go(func() {
			for i := core; i < n; i += cores {
				results[i], errs[i] = s.try(seed + uint64(i))
			}
		})
	}
	wg.Wait()
	return results, join(errs)
}
