// Command calibrate measures the statistics that decide about rollouts: how often
// equal versions are blamed, how soon harmful ones are found, how soon good ones
// pass. It runs the engine under virtual time on simulated traffic and prints each
// figure with its Monte-Carlo interval beside the one that was published for the
// method (T1 to T8), and beside what Sluice promises (H2, H3). It fails where a
// promise is broken. Equal seeds give equal tables.
//
// Start reading at experiments (what is measured), then experiment.run.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

func main() {
	scale := flag.Float64("scale", 1, "part of the runs of each experiment, above `0`")
	only := flag.String("only", "", "the `tables` to run, as T5 or T1,H3")
	from := flag.Uint64("from", 0, "the first `seed`: others than those of a run before, to be added to it")
	what := flag.String("what", "", "a `part` of the descriptions of the experiments to run, as 0.8 busy")
	flag.Parse()
	if err := calibrate(os.Stdout, os.Stderr, sample{*scale, *from}, *only, *what); err != nil {
		fmt.Fprintln(os.Stderr, "calibrate:", err)
		os.Exit(1)
	}
}

// sample is which of the seeds are run.
type sample struct {
	scale float64 // of each experiment's number of runs
	from  uint64  // the first
}

// calibrate prints a row per figure as it is measured, and gives what is broken.
func calibrate(out, progress io.Writer, of sample, only, what string) error {
	fmt.Fprintln(out, "| table | what | published | measured | 95% interval | runs | standing |")
	fmt.Fprintln(out, "|---|---|---|---|---|---|---|")
	var broken []string
	picked := pick(only, what)
	bar := newProgress(progress, len(picked))
	for _, e := range picked {
		e.runs, e.from = scaled(e.runs, of.scale), of.from
		bar.next(e)
		for _, f := range e.run(ours, bar.ran) {
			fmt.Fprintln(out, f)
			if f.broken() {
				broken = append(broken, f.what)
			}
		}
	}
	fmt.Fprintf(progress, "%d experiments in %s\n", len(picked), time.Since(bar.began).Round(time.Second))
	if len(broken) > 0 {
		return fmt.Errorf("%d promises are broken: %s", len(broken), strings.Join(broken, "; "))
	}
	return nil
}

// pick is the experiments of some tables, of all where none is named, whose
// description has a part.
func pick(only, what string) (picked []experiment) {
	for _, e := range experiments() {
		if (only == "" || strings.Contains(","+only+",", ","+e.table+",")) && strings.Contains(e.what, what) {
			picked = append(picked, e)
		}
	}
	return picked
}

func scaled(runs int, scale float64) int { return max(10, int(float64(runs)*scale)) }

// experiments lists everything that is measured.
func experiments() []experiment {
	var all []experiment
	for _, of := range [][]experiment{
		errorDetection(), limitDetection(), errorFalseAlarms(), latencyFalseAlarms(), latencyDetection(),
		queueFalseAlarms(), queueDetection(), bursts(), lateOnsets(), promotions(), promises(),
	} {
		all = append(all, of...)
	}
	return all
}
