package analysis

import (
	"math"
	"time"

	"github.com/sluice-dev/sluice/config"
)

// The reference is kept for referenceParts of referencePart seconds each.
const (
	referencePart  = 10
	referenceParts = 12
	referenceLeast = 60 // answers that a quantile of stable needs
	ripeLeast      = 5  // answers that its mean needs,
	ripeAge        = 3  // and how many times it must have been seen for
)

// reference is what stable did in the last two minutes.
type reference struct {
	total referenceSums
	parts [referenceParts]referenceSums
	part  int64 // the present part: seconds / referencePart
	begun int64 // second of the first request; 0 before
	now   int64 // second
	known bool  // once ripe, ripe for good
}

type referenceSums struct {
	errors    rate
	answers   int64
	waiting   int64         // that have waited for longer than an edge, and not ended since
	took      time.Duration // by the answers, together
	latencies [LastBucket + 1]int32
}

func (r *reference) add(q Request) {
	if r.begun == 0 {
		r.begun = q.Start.Unix()
		r.part = r.begun / referencePart
	}
	bucket := uint16(LastBucket)
	if q.Outcome == Succeeded {
		bucket = Index(q.Duration)
	}
	r.total.add(q, bucket)
	r.parts[r.part%referenceParts].add(q, bucket)
}

// wait counts one that is slower than can be told yet.
func (r *reference) wait() {
	r.total.waiting++
	r.parts[r.part%referenceParts].waiting++
}

// waited takes back what wait counted in a second, unless that is forgotten.
func (r *reference) waited(second int64) {
	part := second / referencePart
	if part <= r.part-referenceParts || part > r.part {
		return
	}
	r.total.waiting--
	r.parts[part%referenceParts].waiting--
}

// rotate forgets what is too old.
func (r *reference) rotate(second int64) {
	r.now = second
	if r.begun == 0 {
		return
	}
	now := second / referencePart
	r.part = max(r.part, now-referenceParts)
	for r.part < now {
		r.part++
		old := &r.parts[r.part%referenceParts]
		r.total.subtract(old)
		*old = referenceSums{}
	}
}

// rate is stable's requests per second.
func (r *reference) rate() float64 {
	span := min(r.now-r.begun, referencePart*(referenceParts-1)+r.now%referencePart)
	return float64(r.total.errors.N) / float64(max(span, 1))
}

// mean is how long an answer of stable's takes.
func (r *reference) mean() time.Duration {
	return r.total.took / time.Duration(max(r.total.answers, 1))
}

// ripe says whether the mean is one of all answers, not of the fast ones that came
// first.
func (r *reference) ripe(now time.Time) bool {
	r.known = r.known || r.total.answers >= ripeLeast && now.Sub(time.Unix(r.begun, 0)) >= ripeAge*r.mean()
	return r.known
}

// quantile of stable's latency, one standard error up; 0 while it has too few
// answers to say.
func (r *reference) quantile(q float64) time.Duration {
	if r.total.answers < referenceLeast {
		return 0
	}
	n := float64(r.total.answers + r.total.waiting)
	rank := int64(math.Ceil(n * min(1, q+math.Sqrt(q*(1-q)/n))))
	for bucket, count := range r.total.latencies[:LastBucket] {
		if rank -= int64(count); rank <= 0 {
			return Edge(uint16(bucket))
		}
	}
	return 0 // time-outs, and answers to come: nothing is slower
}

func (s *referenceSums) add(q Request, bucket uint16) {
	if q.Outcome != Abandoned {
		s.errors = s.errors.plus(rateOf(q.Outcome.Error()))
	}
	if q.Outcome == Failed {
		return
	}
	s.answers++
	s.took += q.Duration
	s.latencies[bucket]++
}

func (s *referenceSums) subtract(o *referenceSums) {
	s.errors.N -= o.errors.N
	s.errors.Bad -= o.errors.Bad
	s.answers -= o.answers
	s.waiting -= o.waiting
	s.took -= o.took
	for i := range s.latencies {
		s.latencies[i] -= o.latencies[i]
	}
}

// errorRules is what a policy says of errors.
type errorRules struct {
	slo   float64 // 0 is none
	ratio float64 // to stable; 0 is none
	floor float64
}

func errorRulesOf(p config.PolicySpec) errorRules {
	var e errorRules
	m := metricOf(p, config.MetricErrors)
	if m.SLO != nil && m.SLO.Max != nil {
		e.slo = m.SLO.Max.Fraction()
	}
	if m.VersusStable != nil {
		e.ratio = float64(m.VersusStable.RollbackIf)
		e.floor = m.VersusStable.Floor.Fraction()
	}
	return e
}

// errorPrior is the error rate that stable is credited with one error of, before
// it was seen to have any, where there is no SLO.
const errorPrior = 0.01

// limit is the error rate above which the candidate is suspected, after what
// stable did: the lesser of the SLO and of stable's rate times the ratio, but
// never below stable's own rate or the floor. 0 is no limit.
func (e errorRules) limit(seen rate) float64 {
	prior := errorPrior
	if e.slo > 0 {
		prior = e.slo
	}
	stable := float64(seen.Bad+1) / (float64(seen.N) + 1/prior)
	switch relative := max(e.floor, e.ratio*stable); {
	case e.ratio > 0 && (e.slo == 0 || relative < e.slo):
		return max(stable, relative)
	case e.slo > 0:
		return max(stable, e.slo)
	}
	return 0
}
