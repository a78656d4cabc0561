package analysis

import "github.com/sluice-dev/sluice/config"

// Test.Method of metrics from elsewhere.
const (
	methodCounts = "counts-versus-stable"
	methodSign   = "sign" // of single readings, the candidate's against stable's
)

// missingMost is how many measurements in a row may say nothing before the candidate
// must not grow for it.
const missingMost = 3

// ownStandings are the tests of metrics from elsewhere.
func (j *judgement) ownStandings() (ss []standing) {
	for i, m := range ownsOf(j.p) {
		if i >= len(j.e.Own) {
			break // evidence from before the policy had it
		}
		o := &j.e.Own[i]
		if m.Prometheus.Counts() {
			ss = append(ss, j.countStandings(m, o)...)
			continue
		}
		part := partsOf(m, 0)
		t := Test{Metric: string(m.Name), Method: methodSign, Candidate: o.Limit.Candidate.estimate()}
		ss = append(ss, j.bothWays(m, t, part.versus, part.versusOr, pathAlways, o.Limit, natsLimit, m.VersusStable)...)
	}
	return ss
}

// countStandings are the tests of counts, as those of errors are.
func (j *judgement) countStandings(m config.Metric, o *own) (ss []standing) {
	limits := 0
	if m.SLO != nil {
		limits = 1
	}
	part := partsOf(m, limits)
	t := Test{Metric: string(m.Name), Stable: o.Stable.estimate(), Candidate: o.Candidate.estimate()}
	if o.Odds != nil {
		t.Method, t.Ratio = methodCounts, o.Odds.estimate(j.logSafe)
		both := limit{Harm: o.Odds.Harm, Safe: o.Odds.Safe}
		versus := j.bothWays(m, t, part.versus, part.versusOr, part.versusPath, both, burstOf(m), m.VersusStable)
		versus[0].Idle = j.tooFew(m, o.Candidate)
		ss = append(ss, versus...)
	}
	return append(ss, j.absoluteStandings(m, t, part, o.Limit, burstOf(m), o.Limit.Stable.rate())...)
}

// absoluteStandings are the tests of counts against the slo, if there is one.
func (j *judgement) absoluteStandings(m config.Metric, t Test, part parts, of limit, burst nats, stable rate) []standing {
	if m.SLO == nil {
		return nil
	}
	t.Method, t.Ratio = methodLimit, Interval{}
	absolute := j.bothWays(m, t, part.limit, part.limitOr, part.limitPath, of, burst, nil)
	spec := limitSpec{share: m.SLO.Max.Fraction()}
	for i := range absolute {
		absolute[i].Threshold, absolute[i].versus = "≤ "+m.SLO.Max.String(), false
	}
	if stable.value() > spec.share {
		absolute[0].shared = sprintf("stable breaches %s %s too: %s of its last %d", m.Name, absolute[0].Threshold, asPercent(stable.value()), stable.N)
	}
	if t.Candidate.N > 0 || m.Prometheus == nil { // of a counter that never counted nobody knows what it takes
		absolute[1].slope = spec.slope(rate{N: t.Candidate.N, Bad: t.Candidate.Count})
	}
	return absolute
}

// bothWays is a test for rollback and the one for promotion.
func (j *judgement) bothWays(
	m config.Metric, t Test, harmPart, safePart float64, way path, of limit, burst nats, versus *config.VersusStable,
) []standing {
	harm, safe := t, t
	harm.Direction, harm.LogE = directionRollback, j.harm(of.Harm.logE(burst))
	safe.Direction, safe.LogE = directionPromotion, of.Safe.logE(burst)
	if versus != nil {
		harm.Threshold, safe.Threshold = versus.RollbackIf.String(), versus.PromoteIf.String()
	}
	return []standing{
		{Test: harm, metric: m.Name, versus: versus != nil, weight: j.share(m) * harmPart},
		{Test: safe, metric: m.Name, versus: versus != nil, weight: safePart, path: way},
	}
}

// unmeasured says which metric has said nothing for too long.
func (j *judgement) unmeasured() string {
	for i := range j.e.Own {
		if o := &j.e.Own[i]; o.Missing >= missingMost {
			return sprintf("metric %s says nothing in %d measurements: %s", o.Name, o.Missing, o.Why)
		}
	}
	return j.e.Tokens.unsaid(j.e.Arms)
}
