package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/sluice-dev/sluice/config"
)

// levels of trip.level that the curve is drawn over, in ppm.
func levels() []config.Percent {
	return []config.Percent{990_000, 997_000, 999_000, 999_700, 999_900}
}

// curve prints what the level of the trip trades: how long harmful versions hurt
// against how often healthy ones trip.
func curve(out io.Writer, seed uint64, part float64) error {
	var all []scenario
	fmt.Fprint(out, "| trip.level |")
	for _, s := range scenarios() {
		all = append(all, s)
		fmt.Fprintf(out, " %s |", s.name)
	}
	fmt.Fprintf(out, "\n|---|%s\n", strings.Repeat("---|", len(all)))
	for _, level := range levels() {
		fmt.Fprintf(out, "| %s |", level)
		for _, s := range all {
			s.policy.Trip.Level = level
			results, err := tryAll(s, seed, max(1, int(float64(s.trials)*part)))
			if err != nil {
				return err
			}
			fmt.Fprintf(out, " %s |", summarise(s, results).brief())
		}
		fmt.Fprintln(out)
	}
	return nil
}

// brief is one cell of the curve.
func (s summary) brief() string {
	if s.limits.asked {
		return fmt.Sprintf("%.2f%% tripped, %.2f%% rolled back", percent(s.tripped, s.n), percent(s.rolledBack, s.n))
	}
	return fmt.Sprintf("%.1fs, worst %.1fs, %d failed", quantile(s.exposure, 0.5).Seconds(), quantile(s.exposure, 1).Seconds(), quantile(s.failed, 0.5))
}

func percent(k, n int) float64 { return 100 * float64(k) / float64(max(n, 1)) }
