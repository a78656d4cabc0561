package controller

import (
	"time"

	"github.com/sluice-dev/sluice/analysis"
)

// delay is how long after their end log entries come, lately.
type delay struct {
	mean time.Duration
	at   time.Time // when the last came
}

// see moves the mean by a sixteenth per batch.
func (d *delay) see(now time.Time, requests []analysis.Request) {
	var worst time.Duration
	for _, r := range requests {
		if !r.Running { // its entry comes long after its first byte
			worst = max(worst, now.Sub(r.End()))
		}
	}
	if worst == 0 {
		return
	}
	if d.mean == 0 {
		d.mean = worst
	}
	d.at = now
	d.mean += (worst - d.mean) / 16
}
