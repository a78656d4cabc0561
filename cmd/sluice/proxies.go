package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-dev/sluice/xds/ads"
)

func newProxies() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "proxies [NODE…]",
		GroupID: "look",
		Short:   "How far each split has come on each proxy",
		Long: `Proxies prints a line for each inference route on each connected proxy: the epoch of
the split that it should have, and whether that was sent to it, acknowledged by it, and seen
in its access logs, each with its age. A proxy that does not answer is late: it is no
longer waited for, and OBSERVED says what it serves meanwhile. What it refused is printed
below, in its words.

With -o wide there is more: since when it is connected, how far its clock is ahead (as far
as its logs tell), and which log entries are lost now.`,
		Args:    cobra.ArbitraryArgs,
		Example: "  sluice proxies\n  sluice proxies sluice -o wide\n  sluice proxies -o json",
	}
	t := targetFlags(cmd)
	outputFlag(cmd, &output, "wide")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := t.client()
		if err != nil {
			return err
		}
		data, err := client.Proxies(cmd.Context())
		if err != nil {
			return failure(err)
		}
		var views []proxyView
		if err := json.Unmarshal(data, &views); err != nil {
			return failure(fmt.Errorf("control plane: proxies: %w", err))
		}
		if views, err = chosen(views, args); err != nil {
			return failure(err)
		}
		if output == "" || output == "wide" {
			return failure(printProxies(cmd.OutOrStdout(), views, output == "wide", time.Now()))
		}
		return printObject(cmd.OutOrStdout(), output, views)
	}
	return cmd
}

// chosen keeps the proxies that were named; all, if none was.
func chosen(views []proxyView, names []string) ([]proxyView, error) {
	if len(names) == 0 {
		return views, nil
	}
	var list []proxyView
	for _, n := range names {
		before := len(list)
		for _, v := range views {
			if v.Proxy == n {
				list = append(list, v)
			}
		}
		if len(list) == before {
			return nil, fmt.Errorf("proxy %q: is not connected; connected are: %s", n, nodes(views))
		}
	}
	return list, nil
}

func nodes(views []proxyView) string {
	names := make([]string, len(views))
	for i, v := range views {
		names[i] = v.Proxy
	}
	return strings.Join(names, ", ")
}

func printProxies(w io.Writer, views []proxyView, wide bool, now time.Time) error { //nolint:revive // the wide output has more columns
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	columns := []string{"PROXY", "ENVOY", "ROUTE", "PUBLISHED", "SENT", "ACKED", "OBSERVED", "STATE", "LAST LOG"}
	if wide {
		columns = append(columns, "CONNECTED", "CLOCK", "LOGS")
	}
	fmt.Fprintln(table, strings.Join(columns, "\t"))
	for _, v := range views {
		for _, r := range v.Routes {
			cells := append(v.cells(r, now), v.wideCells(r, now)...)
			fmt.Fprintln(table, strings.Join(cells[:len(columns)], "\t"))
		}
		if len(v.Routes) == 0 {
			fmt.Fprintf(table, "%s\t%s\t-\n", v.Proxy, orDash(v.Envoy))
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(views) == 0 {
		fmt.Fprintln(w, "no proxy is connected")
	}
	for _, v := range views {
		for _, text := range v.refusals() {
			fmt.Fprintln(w, text)
		}
	}
	return nil
}

func (v proxyView) cells(r proxyRoute, now time.Time) []string {
	return []string{
		v.Proxy, orDash(v.Envoy), r.Route.String(),
		marked(r.Published, now), marked(r.Sent, now), marked(r.Acked, now), marked(r.Observed, now),
		r.state(), ago(v.LastEntry, now),
	}
}

func (v proxyView) wideCells(r proxyRoute, now time.Time) []string {
	clock, logs := "-", "whole"
	if !v.LastEntry.IsZero() {
		clock = "not ahead"
	}
	if v.ClockAhead > 0 {
		clock = "ahead by " + v.ClockAhead.Round(time.Millisecond).String()
	}
	if v.LastEntry.IsZero() {
		logs = "-"
	}
	if r.Missing != "" {
		logs = r.Missing
	}
	return []string{ago(v.Since, now), clock, logs}
}

// state says in a word how a proxy stands to the newest split.
func (r proxyRoute) state() string {
	switch {
	case r.Nack != "":
		return "refused"
	case r.Late:
		return "late"
	case r.Acked.Epoch != r.Published.Epoch || r.Acked.At.IsZero():
		return "waited for"
	case r.Observed.Epoch == r.Published.Epoch:
		return "observed"
	}
	return "acked"
}

// refusals are what a proxy refused, one line each.
func (v proxyView) refusals() []string {
	var lines []string
	for _, r := range v.Refused {
		lines = append(lines, fmt.Sprintf("%s refused %s %s: %s", v.Proxy, r.Type, r.Name, r.Text))
	}
	return lines
}

// marked writes an epoch and its age.
func marked(m ads.Mark, now time.Time) string {
	if m.At.IsZero() {
		return "-"
	}
	return fmt.Sprintf("%d (%s)", m.Epoch, ago(m.At, now))
}

// ago writes an age in one unit or two.
func ago(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	age := max(0, now.Sub(t))
	switch {
	case age < time.Second:
		return age.Round(time.Millisecond).String()
	case age < time.Hour:
		return age.Round(time.Second).String()
	}
	return strings.TrimSuffix(age.Round(time.Minute).String(), "0s")
}
