// Package live shows one inference route in a terminal. Screen is the whole of
// what is known as one text, Line the same in a line that grep likes, Watch
// follows a rollout to its end; all three are functions of the snapshots they are
// given. Lines and Screens do the looking: the one prints a line whenever
// something changed, the other redraws a screen on a terminal. Nothing here
// decides anything, and nothing foreign reaches a terminal unwashed.
//
// Start reading at Screen, then Watch in watch.go.
package live

import (
	"strings"

	"github.com/sluice-dev/sluice/canary/controller"
)

// Look is what a terminal can show.
type Look struct {
	Width int  // columns; 0 wraps nothing
	Color bool // ANSI colours
	ASCII bool // no other characters
}

// LookOf reads a process's environment. Without a terminal nothing is coloured
// and nothing is wrapped, whatever the environment says.
func LookOf(getenv func(string) string, terminal Terminal) Look {
	look := Look{ASCII: !speaksUTF8(getenv)}
	if terminal.Width > 0 {
		look.Width = max(terminal.Width, leastWidth)
		look.Color = getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
	}
	return look
}

// Terminal is where output goes. Zero is none: a file or a pipe.
type Terminal struct{ Width int }

// leastWidth is where wrapping narrower makes nothing readable.
const leastWidth = 40

// speaksUTF8 asks the locale as POSIX does: the first that is set counts. Where
// none is, it is the C locale.
func speaksUTF8(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := strings.ToLower(getenv(name)); value != "" {
			return strings.Contains(value, "utf-8") || strings.Contains(value, "utf8")
		}
	}
	return false
}

// Screen writes everything that is known of an inference route, the most
// pressing first. It ends with a newline.
func Screen(s controller.Snapshot, look Look) string {
	t := &sheet{look: look}
	t.head(s)
	t.alarms(s)
	t.waits(s)
	t.share(s)
	t.abTest(s)
	t.steps(s)
	t.requests(s)
	t.evidence(s)
	t.trips(s)
	t.conditions(s)
	t.foot(s)
	return t.String()
}
