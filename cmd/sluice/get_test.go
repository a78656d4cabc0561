package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
)

// cells are the columns of a table's first line under its head, by name.
func cells(t *testing.T, table string) map[string]string {
	t.Helper()
	lines := strings.Split(table, "\n")
	require.Greater(t, len(lines), 1)
	by := map[string]string{}
	for _, name := range strings.FieldsFunc(strings.ReplaceAll(lines[0], "  ", "\t"), func(r rune) bool { return r == '\t' }) {
		name = strings.TrimSpace(name)
		at := strings.Index(lines[0], name)
		cell, _, _ := strings.Cut(lines[1][at:], "  ")
		by[name] = strings.TrimSpace(cell)
	}
	return by
}

// after a rollout that was rolled back, under a strategy.
func after(strategy config.Strategy) controller.Snapshot {
	s := over(canary.OutcomeRolledBack)
	s.Route.Strategy = strategy
	return s
}

func TestGetShowsTheSplitInForce(t *testing.T) {
	divided := act(func(s *canary.State) {
		s.Stable = ""
		s.Published = config.Split{Epoch: 7, Shares: []config.Share{{Version: "v1", Weight: 9000}, {Version: "v2", Weight: 1000}}}
	})
	tests := []struct {
		name    string
		seen    controller.Snapshot
		split   string
		verdict string
	}{
		{"a step gives stable its two intervals as one share", gated(), "v1=95%,v2=5%", "-"},
		{"a split by hand is shown", divided, "v1=90%,v2=10%", "-"},
		{"an end is told of as the last one", after(config.Strategy{Canary: &config.Canary{}}), "-", "last: v2 rolled back"},
		{"a strategy without rollouts tells of none", after(config.Strategy{Shadow: &config.Shadow{Of: "v1", To: "v2"}}), "-", "-"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := perform(t, &play{acts: []controller.Snapshot{test.seen}})
			code, stdout, stderr := sluice(t, "get", "--server", server.URL)
			require.Zero(t, code, stderr)
			got := cells(t, stdout)
			require.Equal(t, test.split, got["SPLIT"], stdout)
			require.Equal(t, test.verdict, got["VERDICT"], stdout)
		})
	}
}

func TestGetShowsNothingAcknowledgedOrObservedWithoutAProxy(t *testing.T) {
	alone := midway()
	require.Equal(t, []string{"25%", "5%", "25%"}, shares(alone))
	alone.State.Proxies = 0
	require.Equal(t, []string{"25%", "-", "-"}, shares(alone))
}

// shares are the candidate's, as wanted, acknowledged and observed.
func shares(s controller.Snapshot) []string {
	line := summaryOf(s, s.At)
	return []string{line.Weight, line.Acked, line.Observed}
}

func TestAShellIsProposedWhatTheControlPlaneKnows(t *testing.T) {
	server := perform(t, &play{acts: []controller.Snapshot{gated()}})
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"an inference route", []string{"status", ""}, "ml/filetype\n:4\n"},
		{"an inference route to act on", []string{"abort", ""}, "ml/filetype\n:4\n"},
		{"no second one where one is taken", []string{"explain", "ml/filetype", ""}, ":4\n"},
		{"none twice", []string{"get", "ml/filetype", ""}, ":4\n"},
		{"the hash that waits", []string{"approve", "ml/filetype", "--hash", ""}, "3fa9c1d2e4b5\n:4\n"},
		{"a rollout", []string{"review", "ml/filetype", "--rollout", ""}, "v2-1\n:4\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			line := append([]string{"__complete", test.args[0], "--server", server.URL}, test.args[1:]...)
			code, stdout, stderr := sluice(t, line...)
			require.Zero(t, code, stderr)
			require.Equal(t, test.want, stdout)
		})
	}
	t.Run("and nothing where none runs", func(t *testing.T) {
		server.Close()
		code, stdout, _ := sluice(t, "__complete", "status", "--server", server.URL, "")
		require.Zero(t, code)
		require.Equal(t, ":4\n", stdout)
	})
}
