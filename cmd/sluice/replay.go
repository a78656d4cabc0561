package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-dev/sluice/analysis/replay"
	"github.com/sluice-dev/sluice/cmd/sluice/live"
	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/config/file"
)

const replayHelp = `Replay judges recorded requests by the engine that judges live ones, trip included,
and says what it would have decided and when. No control plane, no Envoy.

A recording has one JSON object a line, in the order in which requests ended:

  {"t": 12.5, "version": "v2", "pod": "10.0.0.7:8000", "epoch": 3, "status": 200,
   "grpc_status": 0, "latency_ms": 48.1, "ttfb_ms": 20.4, "tpot_ms": 0.6,
   "unit": "user-17"}

t is when the request started, in seconds: Unix time, or since any moment of your own.
What is printed counts from the first line; -o json keeps the recording's clock.
A line that ends long after most of the lines below it is bad. t, version, status and
latency_ms are required. A status of 0 or 5xx is an error; 4xx is the client's fault,
499 a client that left. With --segments, a "segment" (a tenant, a language) is watched for
errors and times of its own. A unit says that the split drew it, and not the request by itself, as
it does with sticky units: errors are then compared in units, each of which counts once.

An Envoy's own JSON access log does, too. The first four are required, and
--stable and --candidate name versions of clusters called namespace/name/version, or
whole clusters. Without the others something is not judged, and a note says what.

` + replay.EnvoyFormat + `
Envoy tells whole milliseconds. Where another header than x-tenant names the segment, write that one.

What was declared of the split is not in a recording, so the split is not tested. What
a trip would have taken away goes on in it: the candidate's requests after a trip stand
for the mirrored copies that would have settled it.

The exit code is 0 whatever the verdict, and 1 where a line is not as it should be.`

func newReplay() *cobra.Command {
	var c replay.Config
	var policy, requests, output string
	var skip bool
	cmd := &cobra.Command{
		Use:     "replay --requests FILE|- --stable VERSION --candidate VERSION",
		GroupID: "offline",
		Short:   "Judge recorded requests, as if they came now",
		Long:    replayHelp,
		Example: `  sluice replay --requests day.jsonl --stable v1 --candidate v2
  zcat access.json.gz | sluice replay --policy strict.yaml --requests - --stable v1 --candidate v2 --skip-bad -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if c.Policy, err = loadPolicy(policy); err != nil {
				return failure(err)
			}
			in, name, err := openInput(cmd, requests)
			if err != nil {
				return failure(err)
			}
			defer func() { _ = in.Close() }() // it was only read
			c.Name = name
			if skip {
				c.Bad = newComplaints(cmd.ErrOrStderr()).hear
			}
			bar := readingBar(cmd, requests)
			c.Progress = bar.read
			result, err := replay.Run(in, c)
			bar.clear()
			if err != nil {
				return failure(err)
			}
			if output != "" {
				return printObject(cmd.OutOrStdout(), output, result)
			}
			printReplay(cmd.OutOrStdout(), result)
			return nil
		},
	}
	cmd.Flags().StringVar(&policy, "policy", config.DefaultPolicy, "file with one analysis policy, or the name of the built-in one")
	cmd.Flags().StringVar(&requests, "requests", "", "file of requests, or - for standard input (required)")
	cmd.Flags().StringVar(&c.Stable, "stable", "", "version that users trust (required)")
	cmd.Flags().StringVar(&c.Candidate, "candidate", "", "version that is judged (required)")
	cmd.Flags().IntVar(&c.Segments, "segments", 0,
		`how many segments, as "segment" in a line names them, are watched for errors and times of their own (20 is plenty)`)
	cmd.Flags().BoolVar(&skip, "skip-bad", false, "pass over lines that are not as they should be, and name them on standard error")
	for _, name := range []string{"requests", "stable", "candidate"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag was added just above
		}
	}
	outputFlag(cmd, &output)
	return cmd
}

// loadPolicy gives the built-in policy by its name, or the one policy of a file.
func loadPolicy(path string) (config.PolicySpec, error) {
	if path == config.DefaultPolicy {
		return config.Standard(), nil
	}
	c, err := file.Load(path)
	if err != nil {
		return config.PolicySpec{}, err
	}
	if len(c.Policies) != 1 {
		return config.PolicySpec{}, fmt.Errorf("%s: must have one AnalysisPolicy, found %d", path, len(c.Policies))
	}
	return c.Policies[0].PolicySpec, nil
}

// complaints prints the first few of many.
type complaints struct {
	out   io.Writer
	heard int
}

func newComplaints(out io.Writer) *complaints { return &complaints{out: out} }

const mostComplaints = 20

func (c *complaints) hear(err error) {
	c.heard++
	switch {
	case c.heard <= mostComplaints:
		fmt.Fprintf(c.out, "skipped: %v\n", err)
	case c.heard == mostComplaints+1:
		fmt.Fprintln(c.out, "skipped: more lines, which are only counted")
	}
}

func printReplay(w io.Writer, r replay.Result) {
	fmt.Fprintf(w, "%s at %s: %s\n", r.Verdict, replay.Moment(r.From, r.At), r.Reason)
	for _, t := range r.Trips {
		fmt.Fprintf(w, "  trip at %s (%s): %s; %s", replay.Moment(r.From, t.At), t.Metric, t.Reason, t.Outcome)
		if t.Ruling != "" {
			fmt.Fprintf(w, ": %s", t.Ruling)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "  all rollback tests together: %.2f of %.2f nats\n", r.LogE["all"], r.LogE["needed"])
	for _, test := range r.Tests {
		if test.Direction != "integrity" {
			fmt.Fprintf(w, "  %s\n", live.Sentence(test))
		}
	}
	fmt.Fprintf(w, "  %d lines, to %s: %d requests of stable and %d of the candidate by then, %d lines of others, %d skipped\n",
		r.Lines, replay.Moment(r.From, r.To), r.N["stable"], r.N["candidate"], r.Others, r.Skipped)
	if len(r.Notes) > 0 {
		fmt.Fprintf(w, "  note: %s\n", strings.Join(r.Notes, "\n  note: "))
	}
}
