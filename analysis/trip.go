package analysis

import (
	"time"

	"github.com/sluice-dev/sluice/config"
)

// Watch is the trip: the fast and reversible part of deciding. It reads every
// completed request of both arms as it comes, and of those that still wait how long
// they have, and says, at each look, whether the candidate is under so strong a
// suspicion that its weight should go to 0 at once. What it suspects is settled by
// mirrored traffic (Settlement).
//
// Per suspect its statistic is the mean, over start points (one per second of the
// last minute), of the one-sample e-value of what the candidate did since
// (research: statistics §2a, absolute SLO): of errors against the SLO or a
// multiple of stable's running rate, and of requests slower than stable's running
// p50 and p95 times the tolerance. Where stable's slow requests come together, more
// than chance has it, so many of the candidate's are worth one. It is in memory
// only; a restart begins anew.
type Watch struct {
	arms   Arms
	rules  errorRules
	slower float64 // candidate's edges to stable's; 0 leaves latency out
	needed float64 // nats, of each suspect

	stable reference
	trail  trail
	// dispersion is how stable's slow requests come together, and phi how many of the
	// candidate's are worth one for it.
	dispersion dispersion
	phi        [suspects]float64
	ratio      float64 // candidate's weight to stable's, of the split in force
	looked     int64   // second of the last look; 0 before the first
	edges      edges
	// origins are stable's own quantiles, of which edges are a multiple.
	origins edges
	edged   time.Time // since when they are known
	limit   float64   // of errors
	wagers  [suspects]wager
	fresh   [suspects]bool             // something bad came since the last look
	waiting waitings                   // of either arm; marks are suspects
	failed  *[suspects]map[Place]int64 // second of what was bad lately, by unit; nil: units do not count
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
		w.wagers[s], w.phi[s] = newWager(s.excess(), s.shifts()), 1
	}
	return w
}

// ByUnit counts units, not requests, for a split that keeps each unit with an arm: of one
// whose request was bad nothing counts for the rest of the trail, so that what one user
// asks for trips nothing.
func (w *Watch) ByUnit() *Watch {
	w.failed = &[suspects]map[Place]int64{}
	for s := range w.failed {
		w.failed[s] = map[Place]int64{}
	}
	return w
}

// once leaves out what is of units that were bad already.
func (w *Watch) once(r Request, t tally) tally {
	if w.failed == nil || r.Unit == "" {
		return t
	}
	place, second := PlaceOf(r.Unit), r.Start.Unix()
	for s, bad := range w.failed {
		switch was, ok := bad[place]; {
		case ok && second < was+trailLength:
			t[s] = rate{}
		case t[s].Bad > 0:
			bad[place] = second
		}
	}
	return t
}

// Split tells the watch how requests are shared from now on. It needs that to
// know how many answers of the candidate to expect that are not yet out.
func (w *Watch) Split(s config.Split) {
	w.ratio = 0
	if stable := s.Weight(w.arms.Stable); stable > 0 {
		w.ratio = float64(s.Weight(w.arms.Candidate)) / float64(stable)
	}
}

// Add takes one request of either arm, once it is completed, and each time that it is
// told to wait still. One that has waited for longer than an edge was slow, however it
// ends; it is counted as that at once, and only once. What is no evidence (mirrored,
// retried, of another version, a client's fault, or running since its first byte came) is
// passed over.
func (w *Watch) Add(r Request) {
	if !r.Evident() || !r.of(w.arms) || r.Running && !r.Waits() {
		return
	}
	if w.looked != 0 && r.Start.Unix() > w.looked+clockSkew {
		return // it would push everything else out
	}
	e := w.edges
	if r.Version == w.arms.Candidate && r.Start.Before(w.edged) {
		e = edges{} // the quick ones among those were not counted
	}
	if r.Waits() {
		w.addWaiting(r, tallyOf(r, e))
		return
	}
	was, known := w.waiting.end(r)
	stable := r.Version == w.arms.Stable
	if known && stable {
		w.stable.waited(was.Since)
	}
	switch {
	case r.Outcome == ClientFault:
	case !stable:
		w.addCandidate(r, tallyOf(r, e).without(was.Marks))
	case r.Outcome != Abandoned || w.edges[1] > 0 && r.Duration > w.edges[1]: // as with the candidate's
		w.stable.add(r)
		w.disperseStable(r, tallyOf(r, w.origins).without(was.Marks))
	}
}

// addWaiting takes what is new of one that waits. In stable's reference it stands for one
// that is slower than anything, until it has ended.
func (w *Watch) addWaiting(r Request, t tally) {
	_, known := w.waiting.of(r)
	fresh := w.waiting.mark(r, t.marks(), w.looked)
	if fresh == 0 {
		return
	}
	t = t.without(^fresh)
	if r.Version == w.arms.Candidate {
		w.addCandidate(r, t)
		return
	}
	if !known {
		w.stable.wait()
	}
	w.disperseStable(r, t)
}

// disperseStable notes how slow a request of stable's was by its own quantiles.
func (w *Watch) disperseStable(r Request, t tally) {
	if w.edges != (edges{}) {
		w.dispersion.add(r.Start.Unix(), r.Pod, [2]rate{t[suspectMedian], t[suspectTail]})
	}
}

func (w *Watch) addCandidate(r Request, t tally) {
	c := w.once(r, t)
	for s := range c {
		w.fresh[s] = w.fresh[s] || c[s].Bad > 0
	}
	w.trail.add(r.Start.Unix(), r.Pod, c)
}

// clockSkew is how many seconds a proxy's clock may be ahead.
const clockSkew = 2

// Look says whether the candidate should lose its weight now. It may be called as
// often as one likes: how often a healthy candidate trips depends on its time and
// traffic, not on the number of looks.
func (w *Watch) Look(now time.Time) (Suspicion, bool) {
	if now.Unix() != w.looked || w.slower > 0 && w.edges == (edges{}) {
		w.refresh(now)
	}
	for s := range suspects {
		if !w.fresh[s] || s == suspectErrors && !w.ripe(now) {
			continue // good answers raise no suspicion
		}
		w.fresh[s] = false
		if m, tripped := w.judge(s, now); tripped {
			return w.suspicion(s, m, now), true
		}
	}
	return Suspicion{}, false
}

// ripe says whether stable was seen for long enough to know how many answers are
// still out. Until then nobody knows whether failures are all there is, or only
// what comes first.
func (w *Watch) ripe(now time.Time) bool {
	return w.ratio == 0 || w.stable.ripe(now)
}

// refresh takes over what stable did up to now.
func (w *Watch) refresh(now time.Time) {
	w.looked = now.Unix()
	w.stable.rotate(w.looked)
	w.limit = w.rules.limit(w.stable.total.errors)
	w.wagers[suspectErrors] = newWager(w.limit, suspectErrors.shifts())
	was := w.edges
	w.edges = edges{}
	if !w.stable.ripe(now) {
		return
	}
	for i, s := range edgeSuspects() {
		w.origins[i] = w.stable.quantile(1 - s.excess())
		w.edges[i] = time.Duration(w.slower * float64(w.origins[i]))
	}
	if was == (edges{}) {
		w.edged = now
	}
	w.disperse()
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
