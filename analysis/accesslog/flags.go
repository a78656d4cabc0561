package accesslog

import "github.com/sluice-dev/sluice/analysis"

const (
	unissued    = analysis.FlagUF | analysis.FlagUO
	unattempted = analysis.FlagUH | analysis.FlagNC
)

func readFlags(w wire) (f analysis.Flags) {
	for w.next() {
		if w.number != 0 && w.tag < 64<<3 {
			f |= 1 << (w.tag >> 3)
		}
	}
	return f
}
