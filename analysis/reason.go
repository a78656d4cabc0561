package analysis

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-dev/sluice/config"
)

func sprintf(format string, args ...any) string { return fmt.Sprintf(format, args...) }

// asPercent writes a share with three significant digits.
func asPercent(share float64) string {
	return strconv.FormatFloat(math.Round(share*1e8)/1e6, 'g', 3, 64) + "%"
}

func (j *judgement) noRequests() string {
	return sprintf("no request of candidate %s has been judged yet; stable %s had %d",
		j.e.Arms.Candidate, j.e.Arms.Stable, j.e.Stable.N)
}

func splitReason(s *standing) string {
	return sprintf("the candidate got %s of %d requests where %s was declared: log-e %.2f of %.2f",
		asPercent(s.Candidate.Value), s.Candidate.N, s.Threshold, s.LogE, s.LogNeeded)
}

// blame names the tests that decide alone, or else the one with the most weight.
func (j *judgement) blame() string {
	var names []string
	best := &standing{}
	for i := range j.standings {
		s := &j.standings[i]
		if s.Direction != directionRollback || s.Idle != "" {
			continue
		}
		if s.Passed {
			names = append(names, s.seen())
		}
		if best.Metric == "" || s.LogE-s.LogNeeded > best.LogE-best.LogNeeded {
			best = s
		}
	}
	if len(names) == 0 {
		names = []string{best.seen()}
	}
	return sprintf("%s; log-e of all tests together %.2f of %.2f", strings.Join(names, "; "), j.total, j.logNeeded)
}

// seen is a test in one clause: what was seen of both arms, and its evidence.
func (s *standing) seen() string {
	return sprintf("%s %s %s: candidate %s, stable %s, log-e %.2f of %.2f",
		s.Name(), s.Method, s.Threshold, s.Candidate.Text(s.Method), s.Stable.Text(s.Method), s.LogE, s.LogNeeded)
}

// Text writes what a test by a method saw of one arm: a rate, or a latency where those
// are compared.
func (e Estimate) Text(method string) string {
	switch {
	case e.N == 0:
		return "no data"
	case method == methodRank:
		return e.latencyText()
	}
	return sprintf("%s (%d of %d)", asPercent(e.Value), e.Count, e.N)
}

// latencyText writes an estimate whose Value is in seconds.
func (e Estimate) latencyText() string {
	latency := "no answer in time"
	if e.Value < Edge(LastBucket).Seconds() {
		latency = time.Duration(e.Value * float64(time.Second)).Round(10 * time.Microsecond).String()
	}
	return sprintf("%s (%d of %d slow)", latency, e.Count, e.N)
}

func (j *judgement) praise() string {
	text, between := append(make([]byte, 0, 1024), "every required promotion test has passed: "...), ""
	for i := range j.standings {
		if s := &j.standings[i]; s.Direction == directionPromotion && s.Passed {
			text = append(append(text, between...), s.Metric...)
			text = append(append(text, ' '), s.Method...)
			text = append(append(text, ' '), s.Threshold...)
			text = strconv.AppendFloat(append(text, " (log-e "...), s.LogE, 'f', 2, 64)
			text = strconv.AppendFloat(append(text, " of "...), s.LogNeeded, 'f', 2, 64)
			text, between = append(text, ')'), ", "
		}
	}
	return string(text)
}

// needed says what is missing, and what of it is furthest away.
func (j *judgement) needed(missing []*standing) string {
	s, more := j.furthest(missing)
	text := sprintf("%s %s %s has log-e %.2f of %.2f", s.Metric, s.Method, s.Threshold, s.LogE, s.LogNeeded)
	switch pace := j.pace(); {
	case s.Idle != "":
		text += " and does not count: " + s.Idle
	case s.metric == config.MetricAnswers && !math.IsInf(more, 1):
		text += sprintf(": about %.0f more answers to be compared", more)
	case math.IsInf(more, 1):
		text += " and is not growing"
	case pace <= 0:
		text += sprintf(": about %.0f more candidate requests, and none come now", more)
	default:
		text += sprintf(": about %.0f more candidate requests, %.0f s at %.3g/s", more, more/pace, pace)
	}
	if others := len(missing) - 1; others > 0 {
		text += sprintf("; %d nearer promotion tests are missing, too", others)
	}
	if harm := j.total; harm > j.logNeeded/2 {
		text += sprintf("; evidence of harm has log-e %.2f of %.2f", harm, j.logNeeded)
	}
	return text
}

// furthest is the test that needs the most candidate requests, and how many.
func (j *judgement) furthest(missing []*standing) (furthest *standing, requests float64) {
	requests = -1
	for _, s := range missing {
		if more := j.more(s); more > requests {
			furthest, requests = s, more
		}
	}
	return furthest, requests
}

// more is about how many candidate requests a test still needs, from what the
// requests so far were worth; infinite if they were worth nothing.
func (j *judgement) more(s *standing) float64 {
	slope := s.slope
	if s.Idle != "" {
		return math.Inf(1)
	}
	if slope == 0 && s.metric != config.MetricAnswers {
		slope = s.LogE / float64(j.e.Candidate.N)
	}
	if slope <= 0 {
		return math.Inf(1)
	}
	return math.Ceil((s.LogNeeded - s.LogE) / slope)
}

// pace is the candidate's requests per second, lately.
func (j *judgement) pace() float64 {
	return float64(j.e.Pace.Bad) / max(1, float64(j.e.Pace.N)) / WindowLength.Seconds()
}

// slope is what a candidate request at the rate seen is worth to promotion, in
// nats, at the best alternative.
func (l limitSpec) slope(seen rate) float64 {
	best := 0.0
	for _, d := range shiftsOf() {
		best = max(best, -float64(seen.value()*d)-ln(1+float64(l.share*(expo(-d)-1))))
	}
	return best
}
