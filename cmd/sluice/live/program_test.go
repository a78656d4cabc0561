package live

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
)

// tall is a snapshot whose screen has more lines than terminals have.
func tall() controller.Snapshot {
	var s controller.Snapshot
	for i := range 100 {
		s.Conditions = append(s.Conditions, canary.Condition{Type: canary.Ready, Status: canary.True, Reason: "R", Message: fmt.Sprintf("line %d", i)})
	}
	return s
}

func TestAScreenThatIsTooTallScrolls(t *testing.T) {
	k := config.Key{Namespace: "ml", Name: "filetype"}
	m := &model{watch: NewWatch(k, Look{}), c: Config{Key: k}, look: Look{Width: 60}, height: 24}
	require.Contains(t, m.View().Content, "looking at ml/filetype")
	m.Update(tea.WindowSizeMsg{Width: 60, Height: 12})
	m.Update(sighted{At: time.Unix(0, 0), Snapshot: tall()})
	all := m.lines()

	shown := func(keys ...tea.Key) []string {
		for _, k := range keys {
			m.Update(tea.KeyPressMsg(k))
		}
		lines := strings.Split(m.View().Content, "\n")
		require.Len(t, lines, 12, "the terminal is full and no line is lost above it")
		return lines
	}
	down, up := tea.Key{Code: tea.KeyDown}, tea.Key{Code: tea.KeyUp}
	require.Equal(t, all[0], shown()[0])
	require.Contains(t, shown()[11], fmt.Sprintf("%d lines below", len(all)-11))
	require.Equal(t, all[0], shown(up)[0], "there is nothing above the first line")
	require.Equal(t, all[2], shown(down, down)[0])
	require.Equal(t, all[12], shown(tea.Key{Code: tea.KeyPgDown})[0])
	require.Equal(t, all[len(all)-1], shown(tea.Key{Code: tea.KeyEnd})[10])
	require.Equal(t, all[len(all)-1], shown(down)[10], "there is nothing below the last line")
	require.Contains(t, shown()[11], "q leaves")
	require.NotContains(t, shown()[11], "below")
	require.Equal(t, all[0], shown(tea.Key{Code: tea.KeyHome})[0])
}

func TestAControlPlaneThatIsAwayIsSaidBelowWhatWasKnown(t *testing.T) {
	k := config.Key{Namespace: "ml", Name: "filetype"}
	m := &model{watch: NewWatch(k, Look{}), c: Config{Key: k}, look: Look{Width: 60}, height: 12}
	m.Update(sighted{At: time.Unix(0, 0), Snapshot: tall()})
	m.Update(sighted{At: time.Unix(1, 0), Err: errors.New("connection refused")})
	m.Update(sighted{At: time.Unix(4, 0), Err: errors.New("connection refused")})
	lines := strings.Split(m.View().Content, "\n")
	require.Equal(t, m.lines()[0], lines[0])
	require.Equal(t, "control plane away for 3s, shown is what was known then: con", lines[11], "cut to the terminal's width")
}
