package canary_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary"
)

// TestGoldenTable prints what every phase does with every event.
func TestGoldenTable(t *testing.T) {
	const file = "testdata/table.txt"
	got := table()
	if updating() {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func table() string {
	var b strings.Builder
	b.WriteString("# What every phase does with every event. \"-\" is a decision, too: it says nothing to that phase.\n")
	line := func(cells []string) {
		for i, cell := range cells {
			cells[i] = fmt.Sprintf("%-23s", cell)
		}
		b.WriteString(strings.TrimRight(strings.Join(cells, " "), " ") + "\n")
	}
	head := []string{""}
	for _, p := range canary.Phases() {
		head = append(head, string(p))
	}
	line(head)
	for _, k := range canary.Kinds() {
		row := []string{string(k)}
		for _, p := range canary.Phases() {
			row = append(row, canary.RuleName(p, k))
		}
		line(row)
	}
	return b.String()
}

func TestEveryCellIsDecided(t *testing.T) {
	for _, p := range canary.Phases() {
		for _, k := range canary.Kinds() {
			require.NotEmpty(t, canary.RuleName(p, k), "%s × %s", p, k)
		}
	}
	require.Len(t, canary.Kinds(), 22, "a new kind of event needs a row")
}
