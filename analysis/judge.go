package analysis

import (
	"time"

	"github.com/sluice-dev/sluice/config"
)

// splitAlarm is the e-value at which requests are taken not to be split as declared.
const splitAlarm = 1000

// Judge says what the evidence is worth. It may be called at every moment: the
// bounds of the policy hold over all looks together. Rollback is a union of tests
// under one bound, their weighted mean; promotion wants every required test.
// research: statistics §2d, §2f.
func Judge(p config.PolicySpec, e Evidence, now time.Time) Assessment {
	j := judgement{
		p: p, e: &e, limits: limitsOf(p),
		logNeeded: -ln(max((1-SettleShare)*p.Confidence.FalseRollback.Fraction(), 1./config.PerMillion)),
		logSafe:   -ln(max(p.Confidence.FalsePromotion.Fraction(), 1./config.PerMillion)),
	}
	j.standings = make([]standing, 0, usualTests)
	j.addErrors()
	j.addTimes()
	j.add(j.ownStandings()...)
	j.add(j.answerStandings()...)
	j.add(j.splitStandings()...)
	j.weigh()
	j.excuse()
	if j.hold == "" && j.total < j.logNeeded {
		j.hold = j.unmeasured()
	}
	a := Assessment{
		At: now, Hold: j.hold, LogE: j.total, LogNeeded: j.logNeeded,
		Requests: map[string]int64{e.Arms.Stable: e.Stable.N, e.Arms.Candidate: e.Candidate.N},
	}
	a.Tests = make([]Test, len(j.standings))
	for i := range j.standings {
		a.Tests[i] = j.standings[i].Test
	}
	a.Verdict, a.Why, a.Reason = j.verdict()
	a.Answers = j.answers()
	return a
}

// judgement is an assessment in the making.
type judgement struct {
	p                  config.PolicySpec
	e                  *Evidence
	logNeeded, logSafe float64 // of the whole rollback, of the whole promotion

	limits    []limitSpec
	standings []standing
	hold      string
	total     float64 // logE, once it is known which tests count
}

// usualTests is room for the tests of a few metrics.
const usualTests = 32

func (j *judgement) add(ss ...standing) { j.standings = append(j.standings, ss...) }

// weigh gives every test the evidence at which it decides alone.
func (j *judgement) weigh() {
	for i := range j.standings {
		s := &j.standings[i]
		switch s.Direction {
		case directionRollback:
			s.logWeight = ln(s.weight)
			s.LogNeeded = j.logNeeded - s.logWeight
		case directionPromotion:
			s.LogNeeded = j.logSafe - ln(s.weight)
		case directionIntegrity:
			s.LogNeeded = ln(splitAlarm)
		}
		s.Passed = s.LogE >= s.LogNeeded && s.Idle == ""
	}
}

// logE is the weighted mean of the rollback tests that count. A mean of e-values
// is one, whatever their dependence (Vovk and Wang 2021).
func (j *judgement) logE() float64 {
	logs := make([]float64, 1, usualTests)
	logs[0] = -natsLimit / perNat
	for i := range j.standings {
		if s := &j.standings[i]; s.Direction == directionRollback && s.Idle == "" {
			logs = append(logs, s.LogE+s.logWeight)
		}
	}
	return logSumExp(logs...)
}

// excuse takes absolute limits that stable breaches too out of the count, unless
// the comparison with stable blames the candidate. Where that makes the
// difference, it asks for a hold.
func (j *judgement) excuse() {
	before := j.logE()
	for i := range j.standings {
		s := &j.standings[i]
		if s.shared != "" && s.Idle == "" && !j.blames(s.metric) {
			s.Idle, s.Passed = s.shared, false
			if before >= j.logNeeded {
				j.hold = s.shared
			}
		}
	}
	if j.total = j.logE(); j.total >= j.logNeeded {
		j.hold = ""
	}
	for i := range j.standings {
		if s := &j.standings[i]; s.Direction == directionIntegrity && s.Passed {
			j.hold = splitReason(s)
		}
	}
}

// leastBlame is a log e-value above one by more than rounding.
const leastBlame = 1e-6

// blames says whether a comparison with stable speaks against the candidate.
func (j *judgement) blames(metric config.MetricName) bool {
	for i := range j.standings {
		if s := &j.standings[i]; s.Direction == directionRollback && s.metric == metric && s.versus && s.LogE > leastBlame {
			return true
		}
	}
	return false
}

func (j *judgement) verdict() (Verdict, Why, string) {
	switch {
	case j.hold == "" && j.total >= j.logNeeded:
		return Harmful, j.whyHarm(), j.blame()
	case j.e.Candidate.N == 0 && j.live():
		return Undecided, Why{Kind: WhyNoRequests}, j.noRequests()
	case j.hold != "":
		return Undecided, j.whyHeld(), j.hold
	}
	if missing := j.missing(); len(missing) > 0 {
		why := j.whyMissing(missing)
		return Undecided, why, j.needed(missing) + why.futility(j.left())
	}
	return Healthy, Why{Kind: WhyProven}, j.praise()
}

// missing lists the promotion tests that are still required. Of a metric with two
// paths, one is enough, and the one with less to go is listed.
func (j *judgement) missing() (all []*standing) {
	for i := range j.p.Metrics {
		metric := j.p.Metrics[i].Name
		all = append(all, j.missingOn(metric, pathAlways)...)
		versus, limit := j.missingOn(metric, pathVersus), j.missingOn(metric, pathLimit)
		if len(versus) == 0 || len(limit) == 0 {
			continue
		}
		_, byComparing := j.furthest(versus)
		_, byLimit := j.furthest(limit)
		if byComparing < byLimit {
			all = append(all, versus...)
		} else {
			all = append(all, limit...)
		}
	}
	return all
}

func (j *judgement) missingOn(metric config.MetricName, way path) (missing []*standing) {
	for i := range j.standings {
		if s := &j.standings[i]; s.Direction == directionPromotion && s.metric == metric && s.path == way && !s.Passed {
			missing = append(missing, s)
		}
	}
	return missing
}
