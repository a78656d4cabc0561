package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/sluice-dev/sluice/config"
)

// Settlement finds out whether a trip was right. The candidate serves nobody and
// is sent a copy of the share it had, no more; this is the ledger of what it does
// with it. It is saved with the rollout and holds nothing but integers.
//
// It confirms with the statistic that tripped, on fresh requests only, at a part
// of the rollout's falseRollback (SettleShare). It clears by Wald's ratio of "as
// good as the limit" to "half way, on a
// logarithmic scale, to what was suspected", and, shortly before its time
// is up, if nothing at all speaks against the candidate. Few requests settle
// nothing: no data is not good news.
type Settlement struct {
	Arms      Arms      `json:"arms"`
	Suspicion Suspicion `json:"suspicion"`
	Trip      int       `json:"trip"`  // 1 for the first of the attempt
	Until     time.Time `json:"until"` // when onTrip decides

	Candidate []settlingPod `json:"candidate"` // mirrored, by pod name
	Stable    settling      `json:"stable"`    // live, at the same time

	Waiting waitings `json:"waiting,omitempty"` // of either arm; marks are suspects
}

// settling counts requests by what the trip may have suspected them of.
type settling struct {
	Errors rate `json:"errors"`
	Median rate `json:"median"` // above MedianEdge
	Tail   rate `json:"tail"`   // above TailEdge
}

func (s settling) plus(t tally) settling {
	return settling{
		Errors: s.Errors.plus(t[suspectErrors]),
		Median: s.Median.plus(t[suspectMedian]),
		Tail:   s.Tail.plus(t[suspectTail]),
	}
}

func (s settling) tally() tally { return tally{s.Errors, s.Median, s.Tail} }

// settlingPod is the ledger of one pod.
type settlingPod struct {
	Pod string `json:"pod"`
	settling
	// Seconds are those of request-start time in which latencies were counted.
	Seconds []settlingSecond `json:"seconds,omitempty"`
}

// settlingSecond counts latencies that started in one second.
type settlingSecond struct {
	Second int64 `json:"second"`
	Median rate  `json:"median"`
	Tail   rate  `json:"tail"`
}

// SettleShare is the part of confidence.falseRollback that settlements may spend;
// the final tests have the rest. The first trip of an attempt spends half of it,
// the second half of what is left, and so on: together never more than all.
const SettleShare = 0.2

// settleQuiet is how long after the trip latency is not counted yet: a queue that
// tripped by chance is still full.
const settleQuiet = 2 * time.Second

// NewSettlement settles a suspicion, the trip-th of the attempt, counted from 1.
func NewSettlement(p config.PolicySpec, arms Arms, s Suspicion, trip int) Settlement {
	return Settlement{Arms: arms, Suspicion: s, Trip: max(trip, 1), Until: s.At.Add(p.Trip.Settle.D())}
}

// Add takes one request that started after the trip, when it is completed, and each time
// that it is told to wait still: mirrored ones of the candidate, live ones of stable. All
// others are passed over. What a Watch counts at once, this does.
func (s *Settlement) Add(r Request) {
	if !r.of(s.Arms) || r.Attempt > 1 || r.Start.Before(s.Suspicion.At) || r.Shadow != (r.Version == s.Arms.Candidate) ||
		r.Running && !r.Waits() {
		return
	}
	t := s.quieted(r, tallyOf(r, edges{s.Suspicion.MedianEdge.D(), s.Suspicion.TailEdge.D()}))
	if r.Waits() {
		t = t.without(^s.Waiting.mark(r, t.marks(), 0))
	} else {
		was, _ := s.Waiting.end(r)
		t = t.without(was.Marks)
	}
	switch {
	case t == tally{}, !r.Running && r.Outcome == ClientFault:
	case r.Shadow:
		s.pod(r.Pod).add(r.Start.Unix(), t)
	default:
		s.Stable = s.Stable.plus(t)
	}
}

// quieted leaves the latency of requests out that came too soon after the trip.
func (s *Settlement) quieted(r Request, t tally) tally {
	if r.Start.Before(s.Suspicion.At.Add(settleQuiet)) {
		t[suspectMedian], t[suspectTail] = rate{}, rate{}
	}
	return t
}

func (p *settlingPod) add(second int64, t tally) {
	p.settling = p.plus(t)
	if t[suspectMedian].N+t[suspectTail].N == 0 {
		return
	}
	at, found := slices.BinarySearchFunc(p.Seconds, second, func(s settlingSecond, second int64) int {
		return cmp.Compare(s.Second, second)
	})
	if !found {
		p.Seconds = slices.Insert(p.Seconds, at, settlingSecond{Second: second})
	}
	p.Seconds[at].Median = p.Seconds[at].Median.plus(t[suspectMedian])
	p.Seconds[at].Tail = p.Seconds[at].Tail.plus(t[suspectTail])
}

// weighed is what a pod's requests are worth: each error is one, but all latencies
// of a second together are one request, slow in the proportion in which they were
// slow. Requests that wait in one queue are late together; as the root of their
// likelihood they may depend on each other as they like (Hölder; research:
// statistics §2g).
func (p *settlingPod) weighed() weights {
	w := weights{suspectErrors: {bad: float64(p.Errors.Bad), n: float64(p.Errors.N)}}
	for _, s := range p.Seconds {
		w[suspectMedian].add(s.Median)
		w[suspectTail].add(s.Tail)
	}
	return w
}

// weights are what counts are worth to each suspect, in requests.
type weights [suspects]weight

type weight struct{ bad, n float64 }

func (w *weight) add(r rate) {
	if r.N > 0 {
		w.bad, w.n = w.bad+r.value(), w.n+1
	}
}

func (s *Settlement) pod(name string) *settlingPod {
	at, found := slices.BinarySearchFunc(s.Candidate, name, func(p settlingPod, name string) int {
		return cmp.Compare(p.Pod, name)
	})
	if !found {
		s.Candidate = slices.Insert(s.Candidate, at, settlingPod{Pod: name})
	}
	return &s.Candidate[at]
}

// Ruling is what a settlement comes to.
type Ruling struct {
	Outcome   RulingOutcome
	Metric    string // that Reason is about
	Reason    string // one sentence with numbers
	N         int64  // mirrored requests
	LogE      float64
	LogNeeded float64 // nats at which it is confirmed
}

// RulingOutcome says whether a trip was right.
type RulingOutcome string

// Ruling outcomes.
const (
	RulingOpen      RulingOutcome = "open"
	RulingConfirmed RulingOutcome = "confirmed" // the candidate is harmful
	RulingCleared   RulingOutcome = "cleared"   // it is not as bad as was suspected
)

// Judge may be called at any time, as often as one likes. p is the policy that
// the settlement began with.
func (s *Settlement) Judge(p config.PolicySpec, now time.Time) Ruling {
	all := s.weighed(everyPod)
	seen := s.counted()
	r := Ruling{Outcome: RulingOpen, N: max(seen.Errors.N, seen.Median.N, seen.Tail.N), LogE: s.logE(all), LogNeeded: s.needed(p)}
	switch {
	case r.LogE >= r.LogNeeded && s.spread():
		r.Outcome = RulingConfirmed
	case seen.Errors.N >= settleLeast && r.LogE < settleDoubt && s.acquits(p, all, now):
		r.Outcome = RulingCleared
	}
	of := s.suspect()
	if r.Outcome == RulingConfirmed {
		of = s.convicts()
	}
	r.Metric, r.Reason = of.String(), s.reason(of, r)
	return r
}

// settleLeast is how many mirrored requests clear a candidate at least.
const settleLeast = 10

// settleDoubt is the evidence against a candidate, in nats, that forbids to clear it.
const settleDoubt = 2

// needed is the evidence that confirms.
func (s *Settlement) needed(p config.PolicySpec) float64 {
	part := p.Confidence.FalseRollback.Fraction() * SettleShare
	for range s.Trip {
		part /= 2
	}
	return -ln(max(part, 1e-9))
}

// limits are what is nothing to suspect: what the trip knew, or what stable does
// now, if that is worse.
func (s *Settlement) limits() [suspects]float64 {
	now := s.Stable.tally()
	var ls [suspects]float64
	for i := range suspects {
		ls[i] = i.excess()
		if i == suspectErrors {
			ls[i] = s.Suspicion.ErrorLimit.Fraction()
		}
		if now[i].N > 0 {
			ls[i] = max(ls[i], now[i].value())
		}
	}
	return ls
}

// logE is the log of the weighted mean of the suspects' e-values.
func (s *Settlement) logE(w weights) float64 {
	logs := s.logs(w)
	return logSumExp(logs[:]...)
}

// logs are the logs of the suspects' weighted e-values.
func (s *Settlement) logs(w weights) (logs [suspects]float64) {
	limits := s.limits()
	for i := range suspects {
		logs[i] = ln(i.share()) + newWager(limits[i], i.shifts()).logE(w[i].bad, w[i].n)
	}
	return logs
}

// spread says whether more than one pod shows it, where there are more.
func (s *Settlement) spread() bool {
	if len(s.Candidate) < 2 {
		return true
	}
	limits := s.limits()
	for i := range suspects {
		loudest := slices.MaxFunc(s.Candidate, func(a, b settlingPod) int {
			return cmp.Compare(a.tally()[i].Bad, b.tally()[i].Bad)
		})
		others := s.weighed(loudest.Pod)[i]
		if newWager(limits[i], i.shifts()).logE(others.bad, others.n) >= i.spread() {
			return true
		}
	}
	return false
}

// weighed is what all pods' requests are worth, but for one pod's.
func (s *Settlement) weighed(without string) weights {
	var sum weights
	for i := range s.Candidate {
		if s.Candidate[i].Pod == without {
			continue
		}
		for k, w := range s.Candidate[i].weighed() {
			sum[k].bad, sum[k].n = sum[k].bad+w.bad, sum[k].n+w.n
		}
	}
	return sum
}

// counted are all mirrored requests.
func (s *Settlement) counted() settling {
	var sum settling
	for _, p := range s.Candidate {
		sum = sum.plus(p.tally())
	}
	return sum
}

// acquits says whether the suspicion is refuted: the mirrored requests are that
// much likelier at the limit than half way to what was suspected. Shortly before
// the time is up any such preference is enough.
func (s *Settlement) acquits(p config.PolicySpec, all weights, now time.Time) bool {
	of := s.suspect()
	limit := s.limits()[of]
	half := math.Sqrt(limit * float64(s.Suspicion.Bad) / float64(max(s.Suspicion.N, 1)))
	if limit <= 0 || half <= limit || half >= 1 {
		return false
	}
	seen := all[of]
	ratio := float64(seen.bad*ln(limit/half)) + float64((seen.n-seen.bad)*ln((1-limit)/(1-half)))
	if ratio >= -ln(max(p.Confidence.FalsePromotion.Fraction(), 1e-6)) {
		return true
	}
	late := s.Until.Add(-p.Trip.Settle.D() / 4)
	return ratio > 0 && !now.Before(late)
}

func (s *Settlement) suspect() suspect {
	for i := range suspects {
		if i.String() == s.Suspicion.Metric {
			return i
		}
	}
	return suspectErrors
}

// convicts is the suspect that speaks most against the candidate, which need not
// be the one that tripped.
func (s *Settlement) convicts() suspect {
	logs := s.logs(s.weighed(everyPod))
	most := s.suspect()
	for i := range suspects {
		if logs[i] > logs[most] {
			most = i
		}
	}
	return most
}

func (s *Settlement) reason(of suspect, r Ruling) string {
	told := s.Suspicion
	told.Metric = of.String()
	seen := s.counted().tally()[of]
	what := fmt.Sprintf("%d of %d mirrored requests %s", seen.Bad, seen.N, told.did())
	switch r.Outcome {
	case RulingConfirmed:
		return fmt.Sprintf("%s; evidence of harm is %.1f nats, %.1f confirm the trip", what, r.LogE, r.LogNeeded)
	case RulingCleared:
		return what + ", which clears the candidate"
	case RulingOpen:
	}
	return fmt.Sprintf("%s; evidence of harm is %.1f of %.1f nats", what, r.LogE, r.LogNeeded)
}
