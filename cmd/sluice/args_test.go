package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
)

func TestANameWithoutANamespaceIsDefaultsOrTheOnlyOne(t *testing.T) {
	for _, tt := range []struct {
		name  string
		known []string
		asked string
		want  string
	}{
		{"default's comes first", []string{"default/filetype", "ml/filetype"}, "filetype", "default/filetype"},
		{"or the only one", []string{"ml/filetype", "ml/langid"}, "filetype", "ml/filetype"},
		{"of several one is to be named", []string{"lab/filetype", "ml/filetype"}, "filetype", `default/filetype: is not there, and several others are called "filetype": name one of lab/filetype, ml/filetype`},
		{"one that nobody knows is default's", []string{"ml/langid"}, "filetype", "default/filetype"},
		{"a namespace that is named is meant", []string{"ml/filetype"}, "default/filetype", "default/filetype"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var known []controller.Snapshot
			for _, name := range tt.known {
				key, err := parseKey(name)
				require.NoError(t, err)
				known = append(known, controller.Snapshot{State: canary.State{Route: key}})
			}
			key, err := pick(tt.asked, known)
			if err != nil {
				require.EqualError(t, err, tt.want)
				return
			}
			require.Equal(t, tt.want, key.String())
		})
	}
}

func TestEveryCommandTakesTheOnlyRouteOfAName(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string // on either stream
	}{
		{[]string{"get", "filetype"}, "filetype"},
		{[]string{"status", "filetype"}, "v2 is tried against v1"},
		{[]string{"explain", "filetype"}, "ml/filetype: v2 is tried"},
		{[]string{"review", "filetype"}, "there is no such review"},
		{[]string{"hold", "filetype", "--reason", "x"}, "play: takes no verbs"},
		{[]string{"outcomes", "send", "filetype", "-f", "-"}, "ml/filetype: 0 outcomes taken"},
	} {
		t.Run(tt.args[0], func(t *testing.T) {
			server := perform(t, &play{acts: []controller.Snapshot{running()}})
			_, stdout, stderr := sluice(t, append(tt.args, "--server", server.URL)...)
			require.Contains(t, stdout+stderr, tt.want)
		})
	}
}
