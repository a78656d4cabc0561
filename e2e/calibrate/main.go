// Command calibrate measures the statistics that decide about rollouts: how often
// equal versions are blamed, how soon harmful ones are found, how soon good ones
// pass. It runs the engine under virtual time on simulated traffic and prints each
// figure with its Monte-Carlo interval beside the one that was published for the
// method (T1 to T8), and beside what Sluice promises (H2, H3). It fails where a
// promise is broken, and where a figure lies further off the published one than a named
// deviation allows. Equal seeds give equal tables.
//
// Start reading at experiments (what is measured), then experiment.run.
package main

import (
	"errors"
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
	if err := calibrate(os.Stdout, os.Stderr, sample{*scale, *from}, selection{*only, *what}, ours); err != nil {
		fmt.Fprintln(os.Stderr, "calibrate:", err)
		os.Exit(1)
	}
}

// sample is which of the seeds are run.
type sample struct {
	scale float64 // of each experiment's number of runs
	from  uint64  // the first
}

// selection is which experiments are run: those of some tables, of all where none is
// named, whose description has a part.
type selection struct{ only, what string }

func (s selection) has(table, what string) bool {
	return (s.only == "" || strings.Contains(","+s.only+",", ","+table+",")) && strings.Contains(what, s.what)
}

// calibrate prints a row per figure as it is measured, then what is left out.
// errors: figures that break a promise, or lie further off what was published than their
// deviation allows.
func calibrate(out, progress io.Writer, of sample, s selection, with engines) error {
	fmt.Fprintln(out, "| table | what | published | measured | 95% interval | runs | standing |")
	fmt.Fprintln(out, "|---|---|---|---|---|---|---|")
	var broken, unexplained []string
	picked := pick(s)
	bar := newProgress(progress, len(picked))
	for _, e := range picked {
		e.runs, e.from = scaled(e.runs, of.scale), of.from
		bar.next(e)
		for _, f := range e.run(with, bar.ran) {
			fmt.Fprintln(out, f)
			switch {
			case f.broken():
				broken = append(broken, f.what)
			case f.unexplained():
				unexplained = append(unexplained, f.what)
			}
		}
	}
	for _, l := range leftOuts() {
		if s.has(l.table, l.what) {
			fmt.Fprintln(out, l)
		}
	}
	fmt.Fprintf(progress, "%d experiments in %s\n", len(picked), time.Since(bar.began).Round(time.Second))
	var errs []error
	if len(broken) > 0 {
		errs = append(errs, fmt.Errorf("%d promises are broken: %s", len(broken), strings.Join(broken, "; ")))
	}
	if len(unexplained) > 0 {
		errs = append(errs, fmt.Errorf("%d figures are further off than their deviations allow: %s", len(unexplained), strings.Join(unexplained, "; ")))
	}
	return errors.Join(errs...)
}

func pick(s selection) (picked []experiment) {
	for _, e := range experiments() {
		if s.has(e.table, e.what) {
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
		errorDetection(), errorLimits(), limitDetection(), errorFalseAlarms(), latencyFalseAlarms(), latencyDetection(),
		queueFalseAlarms(), queueDetection(), bursts(), lateOnsets(), knownOnsets(), promotions(), promises(),
	} {
		all = append(all, of...)
	}
	return all
}
