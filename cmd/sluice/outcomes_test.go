package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/api"
	"github.com/sluice-dev/sluice/canary/controller"
)

func TestOutcomesAreSentAndRefusedOnesNamedByTheirPlace(t *testing.T) {
	server := perform(t, &play{acts: []controller.Snapshot{running()}})
	line := func(outcome string) string { return fmt.Sprintf(`{"unit":"alice","outcome":%q,"value":1}`, outcome) }
	many := strings.Repeat(line("clicks")+"\n", api.MostOutcomes) + line("mistake")
	for _, tt := range []struct {
		name, in  string
		code      int
		out, errs string
	}{
		{"lines", line("clicks") + "\n\n" + line("clicks"), 0, "ml/filetype: 2 outcomes taken for abtest-1, 0 refused\n", ""},
		{"an array", " [" + line("clicks") + "," + line("clicks") + "]\n", 0, "ml/filetype: 2 outcomes taken for abtest-1, 0 refused\n", ""},
		{"nothing", "", 0, "ml/filetype: 0 outcomes taken for -, 0 refused\n", ""},
		{"an empty array", "[]", 0, "ml/filetype: 0 outcomes taken for -, 0 refused\n", ""},
		{"more than are sent at once", many, 1, "ml/filetype: 10000 outcomes taken for abtest-1, 1 refused\n", "outcome 10001: outcome: is a mistake\n"},
		{
			"more refused than are named", strings.Repeat(line("mistake"), 3), 1, "ml/filetype: 0 outcomes taken for abtest-1, 3 refused\n",
			"outcome 1: outcome: is a mistake\noutcome 2: outcome: is a mistake\n1 more refused, and not named\n",
		},
		{"no value", line("clicks") + `{"unit":"bob","outcome":"clicks"}`, 1, "", "sluice: standard input: after 0 outcomes: outcome 2: value: is missing\n"},
		{"an unknown field", `{"user":"bob"}`, 1, "", "sluice: standard input: after 0 outcomes: outcome 1: json: unknown field \"user\"\n"},
		{"half an array", "[" + line("clicks"), 1, "", "sluice: standard input: after 0 outcomes: outcome 2: unexpected EOF\n"},
		{"more than an array", "[]" + line("clicks"), 1, "", "sluice: standard input: after 0 outcomes: outcome 1: comes after the end of the array\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			code := execute(context.Background(), []string{"outcomes", "send", "ml/filetype", "-f", "-", "--server", server.URL}, strings.NewReader(tt.in), &out, &errs)
			require.Equal(t, tt.code, code, errs.String())
			require.Equal(t, tt.out, out.String())
			require.Equal(t, tt.errs, errs.String())
		})
	}
}

func TestGetShowsHowAnABTestStands(t *testing.T) {
	tested := func(change func(*canary.ABTest, *canary.ABTrace)) controller.Snapshot {
		s := over(canary.OutcomeRolledBack) // what was before
		s.State.ABTests, s.ABTraces = []canary.ABTest{{ID: "abtest-2"}}, []canary.ABTrace{{Test: "abtest-2"}}
		change(&s.State.ABTests[0], &s.ABTraces[0])
		return s
	}
	for _, tt := range []struct {
		name, verdict string
		change        func(*canary.ABTest, *canary.ABTrace)
	}{
		{"nothing is sure", "undecided", func(*canary.ABTest, *canary.ABTrace) {}},
		{"an arm wins", "v2 wins", func(_ *canary.ABTest, seen *canary.ABTrace) { seen.Standing.Winner = "v2" }},
		{"an arm won", "v2 wins", func(test *canary.ABTest, _ *canary.ABTrace) { test.Ended, test.Winner = time.Unix(1, 0), "v2" }},
		{"no arm won", "no winner", func(test *canary.ABTest, _ *canary.ABTrace) { test.Ended = time.Unix(1, 0) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := perform(t, &play{acts: []controller.Snapshot{tested(tt.change)}})
			code, stdout, stderr := sluice(t, "get", "--server", server.URL)
			require.Zero(t, code, stderr)
			got := cells(t, stdout)
			require.Equal(t, []string{"abtest-2", tt.verdict}, []string{got["CANDIDATE"], got["VERDICT"]}, stdout)
		})
	}
}
