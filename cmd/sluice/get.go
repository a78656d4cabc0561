package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-dev/sluice/canary/api"
	"github.com/sluice-dev/sluice/canary/controller"
)

func newGet() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "get [[NAMESPACE/]NAME…]",
		GroupID: "look",
		Short:   "Every inference route in a line",
		Long: `Get prints one line an inference route: who is stable, who is tried, the split that is
in force, at which step the rollout is, and what share was wanted for the candidate,
acknowledged by every connected proxy, and seen in Envoy's access logs. While no rollout
runs, VERDICT says how the last one ended.`,
		Args:    manyRoutes,
		Example: "  sluice get\n  sluice get ml/filetype -o wide\n  sluice get -o json",
	}
	t := targetFlags(cmd)
	outputFlag(cmd, &output, "wide")
	cmd.ValidArgsFunction = t.completeRoutes(math.MaxInt)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := t.client()
		if err != nil {
			return err
		}
		list, err := snapshots(cmd.Context(), client, args)
		if err != nil {
			return failure(err)
		}
		if output == "" || output == "wide" {
			return failure(printTable(cmd.OutOrStdout(), list, columnsOf(output), time.Now()))
		}
		return printObject(cmd.OutOrStdout(), output, list)
	}
	return cmd
}

// snapshots gives the named inference routes, or all.
func snapshots(ctx context.Context, client *api.Client, names []string) ([]controller.Snapshot, error) {
	if len(names) == 0 {
		return client.List(ctx)
	}
	var list []controller.Snapshot
	for _, n := range names {
		key, err := find(ctx, client, n)
		if err != nil {
			return nil, err
		}
		s, err := client.Get(ctx, key)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// columnsOf names the columns of an output: the wide one has more.
func columnsOf(output string) []string {
	columns := []string{"NAMESPACE", "NAME", "STABLE", "CANDIDATE", "SPLIT", "PHASE", "STEP", "WEIGHT", "ACKED", "OBSERVED", "VERDICT", "AGE"}
	if output == "wide" {
		columns = append(columns, "EPOCH", "PROXIES", "TRIPS", "READY", "WAITS FOR")
	}
	return columns
}

func printTable(w io.Writer, list []controller.Snapshot, columns []string, now time.Time) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, strings.Join(columns, "\t"))
	for _, s := range list {
		cells := append(summaryOf(s, now).cells(), wideCells(s)...)
		fmt.Fprintln(table, strings.Join(cells[:len(columns)], "\t"))
	}
	return table.Flush()
}

func wideCells(s controller.Snapshot) []string {
	trips := 0
	if s.State.Rollout != nil {
		trips = len(s.State.Rollout.Trips)
	}
	ready, _ := s.Condition("Ready")
	waits := "-"
	if len(s.Waits) > 0 {
		waits = s.Waits[0].Text
	}
	return []string{
		fmt.Sprint(s.State.Published.Epoch), fmt.Sprint(len(s.Proxies)), fmt.Sprint(trips), string(ready.Status), waits,
	}
}
