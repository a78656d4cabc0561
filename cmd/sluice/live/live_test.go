package live_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"charm.land/lipgloss/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/cmd/sluice/live"
)

func TestScreens(t *testing.T) {
	tests := []struct {
		name string
		seen controller.Snapshot
		look live.Look
	}{
		{"a_step_waits_for_time_and_requests", stepping(), live.Look{Width: 100}},
		{"a_step_in_a_narrow_terminal", stepping(), live.Look{Width: 60}},
		{"a_step_in_a_pipe", stepping(), live.Look{}},
		{"a_gate_while_nothing_is_well", gated(), live.Look{Width: 100}},
		{"a_trip_is_being_settled_without_utf8", tripped(), live.Look{Width: 100, ASCII: true}},
		{"a_promoted_version_bakes", baking(), live.Look{Width: 100}},
		{"a_rollout_was_rolled_back", ended(canary.OutcomeRolledBack), live.Look{Width: 100}},
		{"a_rollout_was_rolled_back_in_colour", ended(canary.OutcomeRolledBack), live.Look{Width: 100, Color: true}},
		{"no_rollout_yet", resting(), live.Look{Width: 100}},
		{"a_split_by_hand", divided(), live.Look{Width: 100}},
		{"nothing_known_yet", controller.Snapshot{}, live.Look{Width: 100}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := live.Screen(test.seen, test.look)
			golden(t, test.name, got)
			for line := range strings.Lines(got) {
				if test.look.Width > 0 {
					require.LessOrEqual(t, lipgloss.Width(strings.TrimRight(line, "\n")), test.look.Width, "no line is longer than the terminal is wide: %q", line)
				}
			}
			if !test.look.Color {
				require.NotContains(t, got, "\x1b", "no escape without colour")
			}
			if test.look.ASCII {
				require.False(t, strings.ContainsFunc(got, func(r rune) bool { return r > unicode.MaxASCII }))
			}
		})
	}
}

// golden compares with a file in testdata; escapes are written as \e.
func golden(t *testing.T, name, got string) {
	t.Helper()
	got = strings.ReplaceAll(got, "\x1b", `\e`)
	path := filepath.Join("testdata", name+".txt")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestATerminalIsShownWhatItCan(t *testing.T) {
	utf8 := map[string]string{"LANG": "en_GB.UTF-8", "TERM": "xterm"}
	with := func(name, value string) map[string]string {
		env := map[string]string{name: value}
		for k, v := range utf8 {
			if k != name {
				env[k] = v
			}
		}
		return env
	}
	tests := []struct {
		name     string
		env      map[string]string
		terminal live.Terminal
		want     live.Look
	}{
		{"a terminal has colours and a width", utf8, live.Terminal{Width: 120}, live.Look{Width: 120, Color: true}},
		{"a narrow one is not wrapped to nothing", utf8, live.Terminal{Width: 10}, live.Look{Width: 40, Color: true}},
		{"a pipe has neither", utf8, live.Terminal{}, live.Look{}},
		{"NO_COLOR is obeyed", with("NO_COLOR", "1"), live.Terminal{Width: 80}, live.Look{Width: 80}},
		{"a dumb terminal has none", with("TERM", "dumb"), live.Terminal{Width: 80}, live.Look{Width: 80}},
		{"LC_ALL comes before LANG", with("LC_ALL", "C"), live.Terminal{Width: 80}, live.Look{Width: 80, Color: true, ASCII: true}},
		{"LC_CTYPE comes before LANG", with("LC_CTYPE", "de_DE.utf8"), live.Terminal{Width: 80}, live.Look{Width: 80, Color: true}},
		{"no locale is C", nil, live.Terminal{Width: 80}, live.Look{Width: 80, Color: true, ASCII: true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.want, live.LookOf(func(name string) string { return test.env[name] }, test.terminal))
		})
	}
}
