package live

import (
	"fmt"
	"strings"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary/controller"
)

// Explain says why an inference route is where it is: a sentence a fact, the most
// pressing first. It ends with a newline.
func Explain(s controller.Snapshot, look Look) string {
	t := &sheet{look: look}
	t.under(0, nil, put(strong, "%s", s.State.Route), put(plain, ": %s", s.Standing()))
	t.explainTrouble(s)
	t.explainRollout(s)
	t.explainTest(s)
	t.explainEnd(s)
	t.explainEvidence(s)
	return t.String()
}

// factf is one sentence under what it is about.
func (t *sheet) factf(about, format string, args ...any) {
	t.under(2, []span{put(plain, "%s: ", about)}, put(plain, format, args...))
}

func (t *sheet) explainTrouble(s controller.Snapshot) {
	if s.Refusal != "" {
		t.factf("configuration", "the newest one is not in force: %s", s.Refusal)
	}
	if n := s.State.Nack; n != nil {
		t.factf("refused", "%s refused epoch %d and keeps what it had: %s", n.Proxy, n.Epoch, n.Text)
	}
	if f := s.State.Fault; f != nil {
		t.factf("not saved", "since %s: %s", clock(f.Since), f.Text)
	}
	if gap := lost(s); gap != "" {
		t.factf("signals", "%s", gap)
	}
}

func (t *sheet) explainRollout(s controller.Snapshot) {
	r := s.State.Rollout
	if r == nil {
		return
	}
	trace, _ := s.Trace(r.ID)
	reach, _ := s.State.Reach(trace)
	t.factf("share", "%s wanted, %s acknowledged by every connected proxy, %s observed in access logs%s",
		percent(reach.Wanted), orNothing(reach.Acked), orNothing(reach.Observed), Aged(reach.ObservedAt, s.At))
	for _, w := range s.Waits {
		t.factf("waits for "+string(w.Reason), "%s", w.Text)
	}
	if s.Remedy != "" {
		t.factf("what would change it", "%s", s.Remedy)
	}
	for _, trip := range r.Trips {
		about := fmt.Sprintf("trip %d at %s", trip.Number, percent(trip.Share))
		if trip.Text == "" {
			t.factf(about, "%s; %s", trip.Reason, trip.Outcome)
			continue
		}
		t.factf(about, "%s; %s: %s", trip.Reason, trip.Outcome, trip.Text)
	}
	if u := s.Ruling; u != nil {
		t.factf("settling it", "%s; %s, evidence %s of %s nats", u.Text,
			count(u.N, "mirrored request", "mirrored requests"), nats(u.LogE), nats(u.LogNeeded))
	}
}

// orNothing writes a share that may not be there yet.
func orNothing(basisPoints *uint32) string {
	if basisPoints == nil {
		return "nothing yet"
	}
	return percent(*basisPoints)
}

// explainEnd says what ended the last rollout, and who knows.
func (t *sheet) explainEnd(s controller.Snapshot) {
	if _, _, tested := s.ABTest(); tested || s.State.Rollout != nil || len(s.State.History) == 0 {
		return
	}
	f := s.State.History[0]
	t.factf("ended", "rollout %s was %s at %s after %s, %s", f.ID, f.Outcome.Words(), clock(f.Ended), lasting(f.Ended.Sub(f.Began)), f.ConfirmedText())
}

// explainEvidence says what every test saw. After an end it is what was known before: a person may have ended what
// was healthy.
func (t *sheet) explainEvidence(s controller.Snapshot) {
	a := s.Assessment
	switch {
	case s.Route.Strategy.Canary == nil && s.Route.Strategy.Shadow == nil && s.State.Rollout == nil:
		return // nothing is judged
	case a == nil && s.State.Rollout == nil:
		return
	case a == nil:
		t.factf("evidence", "none was looked at yet")
		return
	case s.State.Rollout == nil && s.Route.Strategy.Shadow == nil:
		t.factf("the last look"+lookedAt(s), "%s: %s", a.Verdict, a.Reason)
	default:
		t.factf("verdict", "%s: %s", a.Verdict, reasonOf(s))
	}
	if a.Hold != "" {
		t.factf("no growth", "%s", a.Hold)
	}
	t.factf("all rollback tests together", "%s of %s nats", nats(a.LogE), nats(a.LogNeeded))
	for _, test := range a.Tests {
		t.under(2, nil, put(plain, "%s", Sentence(test)))
	}
	t.explainAnswers(a.Answers)
}

// explainAnswers says how a shadow's answers compare, and where they differ.
func (t *sheet) explainAnswers(a *analysis.Answers) {
	if a == nil {
		return
	}
	t.factf("answers by "+string(a.By), "%s; held to: %s", a.Reason, a.Threshold)
	for _, d := range a.Examples {
		t.factf("differs in "+d.ID, "stable %s, shadow %s", d.Stable, d.Shadow)
	}
}

// lookedAt says which rollout the evidence is of, once none runs: one that was rolled back by request has none.
func lookedAt(s controller.Snapshot) string {
	if s.State.Rollout != nil || len(s.Traces) == 0 || s.Route.Strategy.Shadow != nil {
		return ""
	}
	return " before rollout " + s.Traces[0].Rollout + " ended"
}

// Sentence says what one test saw, what its evidence comes to, and what would change
// the verdict.
func Sentence(t analysis.Test) string {
	about := fmt.Sprintf("%s by %s, for %s: ", t.Name(), t.Method, t.Direction)
	if t.Candidate.N == 0 {
		return about + "no data; limit " + t.Threshold
	}
	parts := []string{about + facts(t) + bounds(t), "limit " + t.Threshold, fmt.Sprintf("evidence %s of %s nats", nats(t.LogE), nats(t.LogNeeded))}
	found := t.Found()
	if t.Idle == "" && !t.Passed {
		found += ": " + change(t)
	}
	return strings.Join(append(parts, found), "; ")
}

// bounds are those of the candidate's rate where it is held against a limit of its own;
// where it is compared, facts has those of the ratio.
func bounds(t analysis.Test) string {
	if t.Method != "slo" {
		return ""
	}
	low, high := t.Candidate.Bounds(0.05)
	return fmt.Sprintf(", 95%% bounds %.3g%% to %.3g%%", 100*low, 100*high)
}

// change says what would make a test decide.
func change(t analysis.Test) string {
	short := t.LogNeeded - t.LogE
	switch t.Direction {
	case "rollback":
		return nats(short) + " nats more, alone, roll back"
	case "integrity":
		return nats(short) + " nats more hold the rollout"
	}
	if t.LogE <= 0 {
		return "what came so far speaks for no promotion"
	}
	return fmt.Sprintf("passes with about %.2g times as much of the same", 1+short/t.LogE)
}
