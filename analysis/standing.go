package analysis

import (
	"github.com/sluice-dev/sluice/config"
)

// Test.Direction.
const (
	directionRollback  = "rollback"
	directionPromotion = "promotion"
	directionIntegrity = "integrity"
)

// Test.Method.
const (
	methodOdds  = "errors-versus-stable"
	methodUnits = "unit-errors-versus-stable" // of sticky units, each of which counts once
	methodLimit = "slo"
	methodRank  = "pod-rank"
	methodSplit = "split-integrity"
)

// leastErrors is the number of candidate errors below which a comparison of errors
// never rolls back. A further condition only removes rollbacks, so it costs no
// validity.
const leastErrors = 3

// standing is a test with its part in the whole.
type standing struct {
	Test

	metric    config.MetricName
	versus    bool    // compares with stable
	path      path    // of promotion
	weight    float64 // of the bound on false rollbacks or false promotions
	logWeight float64 // of a rollback test
	shared    string  // how stable breaches the same limit, if so
	slope     float64 // nats per candidate request, if known
}

// path is a way to promotion: all tests of one path, beside those always required.
type path int

const (
	pathAlways path = iota
	pathVersus
	pathLimit
)

// Where a metric has a limit and a comparison, the limit gets these parts of the
// bound. A comparison finds harm sooner, but of rare errors it hardly ever
// promotes ("<2x or slo").
const (
	limitPart   = 0.25 // of false rollbacks
	limitOrPart = 0.75 // of false promotions, where either will do
)

// parts says how a metric's bounds are divided between its comparison with stable
// and its limit.
type parts struct {
	versus, limit         float64 // of false rollbacks
	versusPath, limitPath path
	versusOr, limitOr     float64 // of false promotions
}

func partsOf(m config.Metric, limits int) parts {
	switch {
	case m.VersusStable == nil:
		return parts{limit: 1, limitOr: 1}
	case limits == 0:
		return parts{versus: 1, versusOr: 1}
	case m.VersusStable.PromoteIf.OrSLO:
		return parts{
			versus: 1 - limitPart, limit: limitPart,
			versusPath: pathVersus, limitPath: pathLimit, versusOr: 1 - limitOrPart, limitOr: limitOrPart,
		}
	}
	return parts{versus: 1 - limitPart, limit: limitPart, versusOr: 1, limitOr: 1}
}

// share is the metric's part of all rollback evidence. A metric of no weight never
// rolls back.
func (j *judgement) share(m config.Metric) float64 {
	sum := 0.0
	for _, o := range j.p.Metrics {
		sum += o.Weight
	}
	return max(m.Weight, 1./config.PerMillion) / max(sum, 1./config.PerMillion)
}

// addErrors adds the tests of errors: against stable, then against the limit.
func (j *judgement) addErrors() {
	m := metricOf(j.p, config.MetricErrors)
	part := partsOf(m, j.limitsOn(m))
	if j.e.Odds != nil {
		j.addOdds(m, part)
	}
	j.addLimits(m, part)
}

// limitsOn is how many absolute limits a metric has.
func (j *judgement) limitsOn(m config.Metric) (n int) {
	for i := range j.limits {
		if j.limits[i].of == m.Name {
			n++
		}
	}
	return n
}

func (j *judgement) addOdds(m config.Metric, part parts) {
	method, stable, candidate := j.compared()
	t := Test{
		Metric: string(m.Name), Method: method, Stable: stable.estimate(), Candidate: candidate.estimate(),
		Ratio: j.e.Odds.estimate(j.logSafe),
	}
	harm, safe := t, t
	harm.Direction, harm.LogE = directionRollback, j.harm(j.e.Odds.Harm.logE(burstOf(m)))
	harm.Threshold = m.VersusStable.RollbackIf.String()
	safe.Direction, safe.LogE = directionPromotion, j.e.Odds.Safe.logE(burstOf(m))
	safe.Threshold = m.VersusStable.PromoteIf.String()
	harm.Idle = j.tooFew(m, candidate)
	all := standing{Test: harm, metric: m.Name, versus: true, weight: j.share(m) * part.versus}
	clients := j.clientStandings(all)
	all.weight *= 1 - clientPart
	single := j.segmentStandings(all)
	all.weight *= j.withoutSegments()
	j.add(all, standing{Test: safe, metric: m.Name, versus: true, weight: part.versusOr, path: part.versusPath})
	j.add(clients...)
	j.add(single...)
}

// compared is what errors are compared in: units where they are sticky, or requests.
func (j *judgement) compared() (method string, stable, candidate rate) {
	if u := j.e.Units.known(); u != nil {
		return methodUnits, u.Arms[ofStable].Units, u.Arms[ofCandidate].Units
	}
	return methodOdds, j.e.Stable, j.e.Candidate
}

// harm is a rollback test's log e-value with the evidence that is not yet spent.
func (j *judgement) harm(logE float64) float64 { return withUnspent(logE, j.e.unspent(j.p)) }

// addTimes adds the tests of times: against stable, then against limits.
func (j *judgement) addTimes() {
	timed := j.e.timed()
	for i, name := range timings() {
		m := metricOf(j.p, name)
		part := partsOf(m, j.limitsOn(m))
		if timed[i] != nil {
			j.addRanks(m, i, timed[i], part)
		}
		j.addLimits(m, part)
	}
}

// addRanks adds the comparisons of one kind of times with stable.
func (j *judgement) addRanks(m config.Metric, kind int, l *latency, part parts) {
	specs := ranksOf(m)
	for i, s := range specs {
		t := rankTest(m.Name, s, l, &l.Ranks[i])
		t.Idle = j.e.Units.few()
		harm, safe := t, t
		harm.Direction, harm.LogE = directionRollback, j.harm(logMean(&l.Ranks[i].Harm))
		harm.Threshold = m.VersusStable.RollbackIf.String()
		safe.Direction, safe.LogE = directionPromotion, logMean(&l.Ranks[i].Safe)
		safe.Threshold = m.VersusStable.PromoteIf.String()
		harm.Ratio = j.rankRatio(harm, safe, m)
		safe.Ratio = harm.Ratio
		all := standing{Test: harm, metric: m.Name, versus: true, weight: j.share(m) * part.versus / float64(len(specs))}
		single := j.segmentRanks(all, kind, i, s)
		all.weight *= j.withoutSegments()
		j.add(all, standing{Test: safe, metric: m.Name, versus: true, weight: part.versusOr, path: part.versusPath})
		j.add(single...)
	}
}

// rankTest is what both directions of a comparison of one quantile show: the
// quantile of both arms lately, and how often either went beyond its edge.
func rankTest(of config.MetricName, s rankSpec, l *latency, r *rank) Test {
	t := Test{Metric: quantileName(of, s.q), Method: methodRank, Stable: r.Stable.estimate(), Candidate: r.Candidate.estimate()}
	t.Stable.Value = l.Stable.quantile(float64(s.q)).Seconds()
	t.Candidate.Value = l.Candidate.quantile(float64(s.q)).Seconds()
	return t
}

// rankRatio bounds a ratio of latencies by what the two tests have ruled out.
func (j *judgement) rankRatio(harm, safe Test, m config.Metric) Interval {
	if harm.Candidate.Value == 0 || harm.Stable.Value == 0 {
		return Interval{}
	}
	in := Interval{Estimate: harm.Candidate.Value / harm.Stable.Value}
	if harm.LogE >= j.logSafe {
		in.Low = float64(m.VersusStable.RollbackIf)
	}
	if safe.LogE >= j.logSafe {
		in.High = m.VersusStable.PromoteIf.Ratio
	}
	return in
}

// tooFew says which further condition of a rollback for errors is not met.
func (j *judgement) tooFew(m config.Metric, c rate) string {
	floor := m.VersusStable.Floor
	switch {
	case c.Bad < leastErrors:
		return sprintf("fewer than %d errors: %d", leastErrors, c.Bad)
	case c.value() < floor.Fraction():
		return sprintf("an error rate of %s is below the floor of %s", asPercent(c.value()), floor)
	}
	return ""
}

// addLimits adds the tests of a metric's absolute limits, both ways.
func (j *judgement) addLimits(m config.Metric, part parts) {
	n := j.limitsOn(m)
	for i := range j.limits {
		l := &j.limits[i]
		if l.of != m.Name {
			continue
		}
		e := &j.e.Limits[i]
		stable := e.Stable.rate()
		t := Test{Metric: l.metric, Method: methodLimit, Stable: stable.estimate(), Candidate: e.Candidate.estimate(), Threshold: l.text}
		if l.latency > 0 {
			t.Idle = j.e.Units.few()
		}
		harm, safe := t, t
		harm.Direction, harm.LogE = directionRollback, j.harm(e.Harm.logE(l.burst))
		safe.Direction, safe.LogE = directionPromotion, e.Safe.logE(l.burst)
		up := standing{Test: harm, metric: m.Name, weight: j.share(m) * part.limit / float64(n)}
		if stable.value() > l.share {
			up.shared = sprintf("stable breaches %s %s too: %s of its last %d requests", l.metric, l.text, asPercent(stable.value()), stable.N)
		}
		down := standing{Test: safe, metric: m.Name, weight: part.limitOr, path: part.limitPath}
		if j.e.Units.known() == nil { // units do not come as requests do
			down.slope = l.slope(e.Candidate)
		}
		j.add(up, down)
	}
}

// splitStanding is the test of the split itself, over all epochs. It shows the
// epoch that speaks most against it.
func (j *judgement) splitStanding() standing {
	var worst share
	for i, h := range j.e.Shares.Open {
		if i == 0 || h.logE() > worst.logE() {
			worst = h
		}
	}
	seen := rate{N: worst.Stable + worst.Candidate, Bad: worst.Candidate}
	return standing{weight: 1, Test: Test{
		Metric: "split", Method: methodSplit, Direction: directionIntegrity, LogE: j.e.Shares.logE(),
		Candidate: seen.estimate(), Threshold: asPercent(float64(worst.Declared) / 10_000),
	}}
}
