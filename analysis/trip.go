package analysis

import (
	"time"

	"github.com/sluice-dev/sluice/config"
)

// Watch is the trip: the fast and reversible part of deciding. It reads every
// completed request of both arms as it comes and says, at each look, whether the
// candidate is under so strong a suspicion that its weight should go to 0 at
// once. What it suspects is settled by mirrored traffic (Settlement).
//
// Per suspect its statistic is the mean, over start points (one per second of the
// last minute), of the one-sample e-value of what the candidate did since
// (research: statistics §2a, absolute SLO): of errors against the SLO or a
// multiple of stable's running rate, and of requests slower than stable's running
// p50 and p95 times the tolerance. It is in memory only; a restart begins anew.
type Watch struct {
	arms   Arms
	rules  errorRules
	slower float64 // candidate's edges to stable's; 0 leaves latency out
	needed float64 // nats, of each suspect

	stable reference
	trail  trail
	ratio  float64 // candidate's weight to stable's, of the split in force
	looked int64   // second of the last look; 0 before the first
	edges  edges
	limit  float64 // of errors
	wagers [suspects]wager
	fresh  [suspects]bool // something bad came since the last look
}

// NewWatch watches the candidate of arms under a parsed policy. It suspects errors
// and latency as far as the policy has such a metric.
func NewWatch(p config.PolicySpec, arms Arms) *Watch {
	w := &Watch{arms: arms, rules: errorRulesOf(p)}
	if m := metricOf(p, config.MetricLatency); m.SLO != nil || m.VersusStable != nil {
		w.slower = float64(p.Trip.Latency)
	}
	w.needed = -ln(max(1-p.Trip.Level.Fraction(), 1./config.PerMillion))
	for s := range suspects {
		w.wagers[s] = newWager(s.excess(), s.shifts())
	}
	return w
}

// Split tells the watch how requests are shared from now on. It needs that to
// know how many answers of the candidate to expect that are not yet out.
func (w *Watch) Split(s config.Split) {
	w.ratio = 0
	if stable := s.Weight(w.arms.Stable); stable > 0 {
		w.ratio = float64(s.Weight(w.arms.Candidate)) / float64(stable)
	}
}

// Add takes one completed request of either arm. What is no evidence (mirrored,
// retried, of another version, a client's fault) is passed over.
func (w *Watch) Add(r Request) {
	if !r.Evident() || !counted(r, w.arms) {
		return
	}
	if w.looked != 0 && r.Start.Unix() > w.looked+clockSkew {
		return // it would push everything else out
	}
	if r.Version == w.arms.Stable {
		w.stable.add(r)
		return
	}
	c := tallyOf(r, w.edges)
	for s := range c {
		w.fresh[s] = w.fresh[s] || c[s].Bad > 0
	}
	w.trail.add(r.Start.Unix(), r.Pod, c)
}

// clockSkew is how many seconds a proxy's clock may be ahead.
const clockSkew = 2

// counted says whether a request is of one of the arms and says something of it.
func counted(r Request, arms Arms) bool {
	return r.Route == arms.Route && r.Outcome != ClientFault && r.Outcome != Abandoned &&
		(r.Version == arms.Stable || r.Version == arms.Candidate)
}

// Look says whether the candidate should lose its weight now. It may be called as
// often as one likes: how often a healthy candidate trips depends on its time and
// traffic, not on the number of looks.
func (w *Watch) Look(now time.Time) (Suspicion, bool) {
	if second := now.Unix(); second != w.looked {
		w.looked = second
		w.refresh(second)
	}
	for s := range suspects {
		if !w.fresh[s] {
			continue // good answers raise no suspicion
		}
		w.fresh[s] = false
		if m, tripped := w.judge(s, now); tripped {
			return w.suspicion(s, m, now), true
		}
	}
	return Suspicion{}, false
}

// refresh takes over what stable did up to now.
func (w *Watch) refresh(second int64) {
	w.stable.rotate(second)
	w.limit = w.rules.limit(w.stable.total.errors)
	w.wagers[suspectErrors] = newWager(w.limit, suspectErrors.shifts())
	for i, s := range edgeSuspects() {
		w.edges[i] = time.Duration(w.slower * float64(w.stable.quantile(1-s.excess())))
	}
}

// judge says whether a suspect is over its threshold. Where the candidate has
// several pods more than one must show it: what one pod does alone is the pod's
// trouble, and the final tests weigh it.
func (w *Watch) judge(s suspect, now time.Time) (mean, bool) {
	m := w.mean(s, now, everyPod)
	if m.logE < w.needed {
		return m, false
	}
	pod, pods := w.trail.loudest(s, w.looked)
	return m, pods < 2 || w.mean(s, now, pod).logE >= s.spread()
}
