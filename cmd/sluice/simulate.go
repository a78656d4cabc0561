package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-dev/sluice/analysis/replay"
	"github.com/sluice-dev/sluice/canary/forecast"
	"github.com/sluice-dev/sluice/config"
)

const simulateHelp = `Simulate tries rollouts under a policy in simulated traffic, with the controller, the
machine and the statistics that run in earnest, under virtual time. It says:

  1. how often and how soon harmful versions of growing size lose their share,
  2. how long a healthy one takes to be promoted, and what it waits for,
  3. the smallest effect that is caught in 90% of rollouts,
  4. how often a healthy version is rolled back by chance,
  5. what is odd about the policy.

The traffic is Poisson; answers take a lognormal time, or one drawn from those of a
file, and with --busy wait in the queue of their pod. Equal flags give equal answers.

With --requests-per-unit, units such as users are sticky, as on a route with
spec.stickiness: each stays with a version and counts once, so the evidence takes as
many units as it takes requests without. Some units send far more than others.`

const perUnitFlag = "requests-per-unit"

// trafficFlags say what traffic a forecast is of.
type trafficFlags struct {
	errors      string
	latencyFrom string
	noMirroring bool
	config      forecast.Config
}

func (t *trafficFlags) add(cmd *cobra.Command, trials int) {
	f, c := cmd.Flags(), &t.config
	f.Float64Var(&c.Rate, "rps", 0, "requests per second of the inference route")
	f.StringVar(&t.errors, "base-errors", "0.1%", "share of stable's requests that fail")
	f.DurationVar(&c.Latency.Median, "latency", 50*time.Millisecond, "median time of an answer, without waiting")
	f.Float64Var(&c.Latency.Sigma, "latency-sigma", 0.4, "spread of that time: the standard deviation of its logarithm")
	f.Float64Var(&c.PerUnit, perUnitFlag, 0, "requests that a sticky unit sends, on average, from 1 to 1000; 0 where none is sticky")
	f.StringVar(&t.latencyFrom, "latency-from", "", "file to draw it from instead: requests as 'sluice replay' reads them, or a Prometheus histogram")
	f.Float64Var(&c.Busy, "busy", 0, "part of the time that each pod is busy; its requests wait for one another")
	f.IntVar(&c.Trials, "trials", trials, "rollouts of a healthy version")
	f.Uint64Var(&c.Seed, "seed", 1, "seed of the first rollout")
}

// complete reads what the flags name.
func (t *trafficFlags) complete() error {
	var p config.Percent
	if err := p.UnmarshalText([]byte(t.errors)); err != nil {
		return fmt.Errorf("--base-errors: %w, found %q", err, t.errors)
	}
	t.config.Errors = p.Fraction()
	if t.latencyFrom == "" {
		return nil
	}
	f, err := os.Open(t.latencyFrom)
	if err != nil {
		return failure(err)
	}
	defer func() { _ = f.Close() }() // it was only read
	t.config.Measured, err = replay.Latencies(f, t.latencyFrom)
	return failure(err)
}

func newSimulate() *cobra.Command {
	var t trafficFlags
	var policy, output string
	var steps []string
	cmd := &cobra.Command{
		Use:     "simulate -f POLICY --rps N",
		GroupID: "offline",
		Short:   "Say in advance what a policy will do, by many simulated rollouts",
		Long:    simulateHelp,
		Example: "  sluice simulate -f strict.yaml --rps 200 --base-errors 0.1% --pods 20\n" +
			"  sluice simulate --rps 40 --latency-from day.jsonl --busy 0.6 -o json",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := errors.Join(t.complete(), readSteps(steps, &t.config.Steps))
			if err != nil {
				return err
			}
			if t.config.Policy, err = loadPolicy(policy); err != nil {
				return failure(err)
			}
			t.config.Mirroring = config.MirroringAllowed
			if t.noMirroring {
				t.config.Mirroring = config.MirroringForbidden
			}
			if err := refusePods(cmd, &t.config); err != nil {
				return err
			}
			if t.config.CandidatePods == 0 {
				t.config.CandidatePods = t.config.StablePods
			}
			f, err := forecasting(cmd, &t.config, forecast.Run)
			if err != nil {
				return err
			}
			if output != "" {
				return printObject(cmd.OutOrStdout(), output, f)
			}
			printForecast(cmd.OutOrStdout(), f)
			return nil
		},
	}
	t.add(cmd, 100)
	cmd.Flags().StringVarP(&policy, "filename", "f", config.DefaultPolicy, "file with one analysis policy, or the name of the built-in one")
	cmd.Flags().IntVar(&t.config.StablePods, "pods", 4, "pods of stable")
	cmd.Flags().IntVar(&t.config.CandidatePods, "candidate-pods", 0, "pods of the candidate (default as many as stable's)")
	cmd.Flags().IntVar(&t.config.PerEffect, "per-effect", 20, "rollouts of each harmful version")
	cmd.Flags().StringSliceVar(&steps, "steps", []string{"5%", "10%", "25%", "50%"}, "weights of the rollout's steps")
	cmd.Flags().BoolVar(&t.noMirroring, "no-mirroring", false, "nothing may be mirrored, so no trip is settled by mirrored traffic")
	outputFlag(cmd, &output)
	return cmd
}

// refusePods refuses versions without pods: 0 is no number of them that can be given.
func refusePods(cmd *cobra.Command, c *forecast.Config) error {
	var errs []error
	refuse := func(flag string, pods int) {
		if cmd.Flags().Changed(flag) && pods < 1 {
			errs = append(errs, fmt.Errorf("--%s: is not from 1 to 1000, found %d", flag, pods))
		}
	}
	refuse("pods", c.StablePods)
	refuse("candidate-pods", c.CandidatePods)
	return errors.Join(errs...)
}

func readSteps(weights []string, steps *[]config.Step) error {
	for _, w := range weights {
		var p config.Percent
		if err := p.UnmarshalText([]byte(w)); err != nil || p <= 0 {
			return fmt.Errorf("--steps: is not a list of weights like 5%%,25%%, found %q", w)
		}
		*steps = append(*steps, config.Step{Weight: p})
	}
	return nil
}

func printForecast(w io.Writer, f forecast.Forecast) {
	h := f.Healthy
	fmt.Fprintf(w, "A healthy version: %s; %d rolled back (%.2f%%, 95%% bounds %.2f%% to %.2f%%), %d held, %d tripped\n",
		promotions(h), h.RolledBack, 100*h.FalseRollback.Value, 100*h.FalseRollback.Low, 100*h.FalseRollback.High, h.Held, h.Tripped)
	printReasons(w, "  ", h)
	printSteps(w, f.Steps)
	if len(f.Effects) > 0 {
		fmt.Fprintln(w, "\nHarmful versions:")
		t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
		fmt.Fprintln(t, "  WHAT\tCAUGHT\tPROMOTED\tWITHIN\tP90\tAT STEP\tFAILED REQUESTS")
		for _, e := range f.Effects {
			within, ninety, step := "-", "-", "-"
			if e.Caught > 0 {
				within, ninety, step = span(e.After), span(e.AfterP90), fmt.Sprint(e.Step)
			}
			fmt.Fprintf(t, "  %s\t%d of %d\t%d\t%s\t%s\t%s\t%.0f\n", e.What, e.Caught, e.Trials, e.Promoted, within, ninety, step, e.Hurt)
		}
		_ = t.Flush() // a terminal that went away is no news
	}
	for _, s := range f.Smallest {
		switch {
		case s.Size == 0:
			fmt.Fprintf(w, "Smallest effect on %s caught in 90%% of rollouts: none that was tried\n", s.Metric)
		case s.OrLess:
			fmt.Fprintf(w, "Smallest effect on %s caught in 90%% of rollouts: %s, or less\n", s.Metric, s.What)
		default:
			fmt.Fprintf(w, "Smallest effect on %s caught in 90%% of rollouts: %s\n", s.Metric, s.What)
		}
	}
	if len(f.Advice) > 0 {
		fmt.Fprintf(w, "\nAdvice:\n  %s\n", strings.Join(f.Advice, "\n  "))
	}
}

// promotions says how many healthy versions are promoted, and how soon.
func promotions(h forecast.Healthily) string {
	if h.Promoted == 0 {
		return fmt.Sprintf("none of %d promoted", h.Trials)
	}
	return fmt.Sprintf("%d of %d promoted, in %s (p90 %s)", h.Promoted, h.Trials, span(h.Promotion), span(h.PromotionP90))
}

// printReasons says why others were not.
func printReasons(w io.Writer, indent string, h forecast.Healthily) {
	for _, reason := range h.Reasons {
		fmt.Fprintf(w, "%snot promoted: %s\n", indent, reason)
	}
}

func printSteps(w io.Writer, steps []forecast.Step) {
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  STEP\tWEIGHT\tLEAST\tREQUESTS\tLIKELY\tP90\tLIKELY REQUESTS\tWAITS FOR")
	for i, s := range steps {
		likely, ninety, requests, waits := "-", "-", "-", "-"
		if s.Left > 0 {
			likely, ninety, requests, waits = span(s.Likely), span(s.P90), fmt.Sprint(s.LikelyRequests), orDash(s.Bottleneck)
		}
		weight := orDash(s.Weight)
		if s.Shadow != "" {
			weight = s.Shadow + " copied"
		}
		fmt.Fprintf(t, "  %d\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", i+1, weight, span(s.Least), s.LeastRequests, likely, ninety, requests, waits)
	}
	_ = t.Flush() // as above
}

// span writes seconds as "1m30s".
func span(s forecast.Seconds) string {
	d := time.Duration(float64(s) * float64(time.Second))
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
