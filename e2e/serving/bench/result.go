package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"
)

// result is what came of one run.
type result struct {
	Sent      int             `json:"sent"`
	Good      int             `json:"good"` // answered in time
	Late      int             `json:"late"`
	Refused   int             `json:"refused"`
	Failed    int             `json:"failed"`
	Wrong     int             `json:"wrong"`
	Latencies []time.Duration `json:"latencies"` // of answers, from the instant drawn
	CPU       float64         `json:"cpu"`       // seconds, of the server
}

func (r *result) answered(latency, deadline time.Duration) {
	r.Latencies = append(r.Latencies, latency)
	if latency <= deadline {
		r.Good++
	} else {
		r.Late++
	}
}

func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[int(q*float64(len(d)-1))]
}

// near compares FP32 scores: batches may add up in another order.
func near(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i+4 <= len(a); i += 4 {
		x := float64(math.Float32frombits(binary.LittleEndian.Uint32(a[i:])))
		y := float64(math.Float32frombits(binary.LittleEndian.Uint32(b[i:])))
		if math.Abs(x-y) > 1e-3*(1+math.Abs(y)) {
			return false
		}
	}
	return true
}

// cell is a run with the limits around it.
type cell struct {
	model, system string
	load          float64
	result        result
	before, after limit
	offered       float64 // per second
	seconds       float64
	overhead      float64 // p99 of the server's time less queue and run, in seconds; NaN: not told
	queue         float64 // the raw queue's share at this load; 0: not measured
}

func (c cell) limit() float64 { return (c.before.best() + c.after.best()) / 2 }

func (c cell) share() float64 { return float64(c.result.Good) / c.seconds / c.limit() }

func (c cell) fair() bool { return fair(c.before, c.after) }

func fair(before, after limit) bool {
	const leastShare, mostMove = 0.65, 1.33
	low, high := min(before.best(), after.best()), max(before.best(), after.best())
	return min(before.Share, after.Share) >= leastShare && high/low <= mostMove
}

const header = `| model | load | system | goodput/limit | of raw queue | answered | late | refused | failed | p50 ms | p99 ms` +
	` | overhead p99 µs | CPU ms/answer | raw CPU ms | fair |
|-|-|-|-|-|-|-|-|-|-|-|-|-|-|-|`

func (c cell) String() string {
	r := c.result
	answers, perAnswer := r.Good+r.Late, math.NaN()
	if answers > 0 {
		perAnswer = 1000 * r.CPU / float64(answers)
	}
	return fmt.Sprintf("| %s | %.2f | %s | %.3f | %s | %d | %d | %d | %d | %.1f | %.1f | %s | %s | %.3f | %t |",
		c.model, c.load, c.system, c.share(), shown("%.2f", c.share()/c.queue), answers, r.Late, r.Refused, r.Failed,
		ms(quantile(r.Latencies, 0.5)), ms(quantile(r.Latencies, 0.99)), shown("%.0f", 1e6*c.overhead),
		shown("%.3f", perAnswer), 1000*(c.before.CPU+c.after.CPU)/2, c.fair())
}

// shown is a number, or a dash where there is none.
func shown(format string, v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "–"
	}
	return fmt.Sprintf(format, v)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
