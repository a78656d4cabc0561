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
)

func main() {
	scale := flag.Float64("scale", 1, "part of the runs of each experiment, above `0`")
	only := flag.String("only", "", "the `tables` to run, as T5 or T1,H3")
	flag.Parse()
	if err := calibrate(os.Stdout, *scale, *only); err != nil {
		fmt.Fprintln(os.Stderr, "calibrate:", err)
		os.Exit(1)
	}
}

// calibrate prints a row per figure as it is measured, and gives what is broken.
func calibrate(out io.Writer, scale float64, only string) error {
	fmt.Fprintln(out, "| table | what | published | measured | 95% interval | runs | standing |")
	fmt.Fprintln(out, "|---|---|---|---|---|---|---|")
	var broken []string
	for _, e := range experiments() {
		if only != "" && !strings.Contains(","+only+",", ","+e.table+",") {
			continue
		}
		for _, f := range e.run(scaled(e.runs, scale), ours) {
			fmt.Fprintln(out, f)
			if f.broken() {
				broken = append(broken, f.what)
			}
		}
	}
	if len(broken) > 0 {
		return fmt.Errorf("%d promises are broken: %s", len(broken), strings.Join(broken, "; "))
	}
	return nil
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
