package analysis

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/sluice-dev/sluice/config"
)

// methodPaired is McNemar's test, of requests that stable answered twice.
const methodPaired = "paired-versus-stable"

// unmatchedMost is how many of the copies may lack an answer before those that have
// both are no fair part of them: slow answers may be other answers.
const unmatchedMost = 0.1

// live says whether anything is judged by requests that users made.
func (j *judgement) live() bool {
	return slices.ContainsFunc(j.p.Metrics, func(m config.Metric) bool { return m.Compare == nil })
}

// splitStandings are the test of the split, where users' requests are judged.
func (j *judgement) splitStandings() []standing {
	if !j.live() {
		return nil
	}
	return []standing{j.splitStanding()}
}

// answerStandings are the tests of a shadow's answers: against stable's own noise, then
// against the limit.
func (j *judgement) answerStandings() (ss []standing) {
	m, compared := j.p.Answers()
	if !compared || j.e.Answers == nil {
		return nil
	}
	a, limits := j.e.Answers, 0
	if m.SLO != nil {
		limits = 1
	}
	part := partsOf(m, limits)
	t := Test{Metric: string(m.Name), Stable: a.Noise.estimate(), Candidate: a.Single.Candidate.estimate()}
	ss = j.absoluteStandings(m, t, part, a.Single, natsLimit, rate{})
	if m.VersusStable != nil {
		t.Method = methodPaired
		versus := j.bothWays(m, t, 1, part.versusOr, part.versusPath, a.Paired, natsLimit, m.VersusStable)
		versus[1].slope = versus[1].LogE / float64(max(1, a.Single.Candidate.N))
		ss = append(versus, ss[limits:]...) // what stable's own do, too, is no reason to blame the candidate
	}
	for i := range ss {
		if ss[i].Direction == directionPromotion {
			ss[i].Idle = a.unfair()
		}
	}
	return ss
}

// unfair says why those that were compared say nothing of the rest. Empty: they do.
func (a *agreement) unfair() string {
	left := a.Left[LeftUnmatched] + a.Left[LeftUnlabelled] + a.Left[LeftUnreadable] + a.Left[LeftLong]
	if all := a.Single.Candidate.N + left; float64(left) > unmatchedMost*float64(all) {
		return sprintf("%d of %d copies could not be compared: %s", left, all, a.leftOut())
	}
	return ""
}

// leftOut lists what was not compared, the most first.
func (a *agreement) leftOut() string {
	var told []string
	reasons := []LeftOut{LeftUnmatched, LeftUnlabelled, LeftUnreadable, LeftLong, LeftUnanswered, LeftUnsent}
	slices.SortStableFunc(reasons, func(x, y LeftOut) int { return cmp.Compare(a.Left[y], a.Left[x]) })
	for _, why := range reasons {
		if n := a.Left[why]; n > 0 {
			text := sprintf("%d %s", n, why.words())
			if why == LeftUnreadable {
				text += " (" + a.Unreadable + ")"
			}
			told = append(told, text)
		}
	}
	return strings.Join(told, ", ")
}

// words says what it means.
func (l LeftOut) words() string {
	switch l {
	case LeftUnmatched:
		return "have an answer that was not told of in time"
	case LeftUnsent:
		return "were over the cap and not sent"
	case LeftUnanswered:
		return "were not answered by stable itself"
	case LeftUnreadable:
		return "have an answer of stable that cannot be read"
	case LeftLong:
		return sprintf("have an answer of more than %d KiB", LongestBody>>10)
	case LeftUnlabelled:
		return "have an answer without x-sluice-digest"
	}
	return string(l)
}

// answers says how they compare, in sum. Nil where the policy compares none.
func (j *judgement) answers() *Answers {
	m, compared := j.p.Answers()
	if !compared || j.e.Answers == nil {
		return nil
	}
	a := j.e.Answers
	told := &Answers{
		By: m.Compare.By, Pairs: a.Single.Candidate.N, Differ: a.Single.Candidate.Bad, Threshold: thresholdOf(m),
		Left: maps.Clone(a.Left), Examples: slices.Clone(a.Examples),
	}
	low, high := rateBounds(a.Single.Candidate, j.p.Confidence.FalsePromotion.Fraction(), plannedPairs)
	told.Agreement = Interval{Estimate: 1 - a.Single.Candidate.value(), Low: 1 - high, High: 1 - low}
	if m.Twice() {
		noise := a.Noise.estimate()
		told.Noise = &noise
	}
	told.Proven = !slices.ContainsFunc(j.missing(), func(s *standing) bool { return s.metric == m.Name })
	told.Reason = a.reason(told)
	return told
}

// plannedPairs is where the bounds of the agreement are narrowest.
const plannedPairs = 1000

// thresholdOf is what the answers are held to, in the policy's words.
func thresholdOf(m config.Metric) string {
	var limits []string
	if v := m.VersusStable; v != nil {
		limits = append(limits, sprintf("as stable's own differ: harmful %s, healthy %s", v.RollbackIf, v.PromoteIf))
	}
	if m.SLO != nil {
		limits = append(limits, sprintf("slo ≤ %s differ", m.SLO.Max))
	}
	return strings.Join(limits, "; ")
}

func (a *agreement) reason(told *Answers) string {
	text := "no answer was compared yet"
	if a.Single.Candidate.N > 0 {
		text = sprintf("%d of %d answers differ from stable's: %s agree (%s to %s)", a.Single.Candidate.Bad, a.Single.Candidate.N,
			asPercent(told.Agreement.Estimate), asPercent(told.Agreement.Low), asPercent(told.Agreement.High))
	}
	if told.Noise != nil && told.Noise.N > 0 {
		text += sprintf("; stable's own differ in %d of %d", told.Noise.Count, told.Noise.N)
	}
	if left := a.leftOut(); left != "" {
		text += "; not compared: " + left
	}
	return text
}
