package analysis_test

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sluice-dev/sluice/analysis"
)

// gateway is a proxy of two workers as far as a Tally can see one. It sends
// requests to v1 and reports as a real one does: entries at a flush of 50 ms, loads
// once a second, both a little late.
type gateway struct {
	seed    uint64
	seconds int
	rate    float64 // requests per second
	mean    time.Duration
	slow    time.Duration    // instead of mean, for one request in five
	left    float64          // of requests: the client leaves
	refused float64          // of requests: no connection (UF)
	ahead   time.Duration    // its clock
	idle    [2]time.Duration // no request begins
	tells   bool             // of what runs for a second
	early   bool             // a success is counted with its headers, which come at once

	starved  time.Duration // of CPU: what takes no time takes about so long now and then
	late     time.Duration // a load report, up to
	logsLate func(t time.Duration) time.Duration

	lost       func(worker int, t time.Duration) bool // the entries flushed at t
	broken     [][2]time.Duration                     // both streams are away
	unreported func(second int) bool
	restarted  time.Duration // what is under way dies, and the reports begin again 400 ms later
}

// signal is something that reaches a Tally.
type signal struct {
	at   time.Duration
	take func(t *analysis.Tally, now time.Time)
}

// served is a request and its way into the log and the reports.
type served struct {
	start, end time.Duration
	released   time.Duration // is no longer in progress
	outcome    analysis.Outcome
	refused    bool
	arrives    time.Duration // its entry
	told       bool
}

// requests are what clients sent, by start.
func (g gateway) requests() (requests []served) {
	random := rand.New(rand.NewPCG(g.seed, 7))
	for t := time.Duration(0); ; {
		t += time.Duration(random.ExpFloat64() / g.rate * float64(time.Second))
		if t > time.Duration(g.seconds)*time.Second {
			return requests
		}
		mean, chance := g.mean, random.Float64()
		if g.slow > 0 && random.IntN(5) == 0 {
			mean = g.slow
		}
		r := served{start: t, end: t + time.Duration(random.ExpFloat64()*float64(mean))}
		switch {
		case chance < g.refused:
			r.refused, r.outcome = true, analysis.Failed
		case chance < g.refused+g.left:
			r.outcome = analysis.Abandoned
		}
		worker, way := random.IntN(2), time.Duration(random.IntN(int(ms(8))))+g.pause(random)
		r.released = r.end + g.pause(random)
		if g.idle[0] > t || t >= g.idle[1] {
			requests = append(requests, g.log(r, worker, way))
		}
	}
}

// pause is how long a thread waits for its turn.
func (g gateway) pause(random *rand.Rand) time.Duration {
	if g.starved == 0 || random.IntN(3) > 0 {
		return 0
	}
	return min(time.Duration(random.ExpFloat64()*float64(g.starved)), 5*g.starved)
}

// log sends a request's entry.
func (g gateway) log(r served, worker int, way time.Duration) served {
	flush := r.end.Truncate(ms(50)) + ms(50) + time.Duration(worker)*ms(17)
	r.arrives = flush + way
	if g.logsLate != nil {
		r.arrives += g.logsLate(flush)
	}
	away := slices.ContainsFunc(g.broken, func(b [2]time.Duration) bool { return b[0]-ms(50) <= flush && flush < b[1] })
	r.told = !away && (g.lost == nil || !g.lost(worker, flush))
	if r.start < g.restarted && g.restarted < r.end {
		r.end, r.released, r.told = g.restarted, g.restarted, false
	}
	return r
}

// signals are in the order of their arrival.
func (g gateway) signals() []signal {
	requests := g.requests()
	signals := append(g.reports(requests), g.streams()...)
	for _, r := range requests {
		if g.tells && r.end-r.start > time.Second {
			signals = append(signals, signal{r.start + time.Second, func(t *analysis.Tally, now time.Time) {
				t.Observe(now, []analysis.Request{{
					Route: mlRoute(), Version: "v1", Proxy: "gateway", Pod: "p", Attempt: 1, Issued: true, Running: true,
					Start: epoch().Add(r.start + g.ahead), FirstByte: ms(10), Duration: ms(10),
				}})
			}})
		}
		if r.told {
			signals = append(signals, signal{r.arrives, func(t *analysis.Tally, now time.Time) {
				t.Observe(now, []analysis.Request{{
					Route: mlRoute(), Version: "v1", Proxy: "gateway", Pod: "p", Attempt: 1,
					Issued: !r.refused, Outcome: r.outcome, Start: epoch().Add(r.start + g.ahead), Duration: r.end - r.start,
				}})
			}})
		}
	}
	slices.SortStableFunc(signals, func(a, b signal) int { return cmp.Compare(a.at, b.at) })
	return signals
}

func (g gateway) streams() (signals []signal) {
	stream := func(at time.Duration, open bool) {
		take := func(t *analysis.Tally, now time.Time) { t.Stream(now, "gateway", open) }
		signals = append(signals, signal{at, take}, signal{at, take})
	}
	stream(0, true)
	for _, b := range g.broken {
		stream(b[0], false)
		stream(b[1], true)
	}
	return signals
}

// reports counts requests as Envoy does.
func (g gateway) reports(requests []served) (signals []signal) {
	random := rand.New(rand.NewPCG(g.seed, 8))
	var starts, ends, succeeded, errored times
	for _, r := range requests {
		if r.refused {
			errored = append(errored, r.end)
			continue
		}
		starts, ends = append(starts, r.start), append(ends, r.released)
		switch {
		case r.outcome == analysis.Abandoned:
		case g.early:
			succeeded = append(succeeded, r.start)
		default:
			succeeded = append(succeeded, r.end)
		}
	}
	slices.Sort(ends)
	slices.Sort(succeeded)
	slices.Sort(errored)
	from := time.Duration(0)
	for second := 1; second <= g.seconds; second++ {
		to := time.Duration(second)*time.Second + time.Duration(random.IntN(int(ms(6))))
		if from < g.restarted && g.restarted < to {
			from = g.restarted + ms(400)
		}
		load := analysis.Load{
			Route: mlRoute(), Version: "v1", Proxy: "gateway", Interval: to - from,
			Issued:     starts.upTo(to) - starts.upTo(from),
			Succeeded:  succeeded.upTo(to) - succeeded.upTo(from),
			Errored:    errored.upTo(to) - errored.upTo(from),
			InProgress: starts.upTo(to) - ends.upTo(to),
		}
		from = to
		arrival := to + time.Duration(random.ExpFloat64()*float64(ms(1))) + g.pause(random) + time.Duration(random.Int64N(int64(g.late)+1))
		load.At = epoch().Add(arrival)
		if g.unreported == nil || !g.unreported(second) {
			signals = append(signals, signal{arrival, func(t *analysis.Tally, _ time.Time) { t.Report([]analysis.Load{load}) }})
		}
	}
	return signals
}

// times are sorted.
type times []time.Duration

func (ts times) upTo(t time.Duration) uint64 {
	n, _ := slices.BinarySearch(ts, t+1)
	return uint64(n)
}
