package live

import (
	"fmt"
	"strings"

	"charm.land/lipgloss/v2"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
)

// evidence shows each test against its threshold; tests of one metric by one
// method saw the same, so they stand under it.
func (t *sheet) evidence(s controller.Snapshot) {
	a := s.Assessment
	if a == nil {
		if s.State.Rollout != nil {
			t.heading(put(strong, "EVIDENCE"), put(faint, "  none was looked at yet"))
		}
		return
	}
	t.heading(put(strong, "EVIDENCE"), put(plain, "%s in nats, natural logarithms of e-values, valid at every look", lookedAt(s)))
	t.under(2, []span{put(inkOf(string(a.Verdict)), "%s", a.Verdict), put(plain, ": ")}, put(plain, "%s", reasonOf(s)))
	if a.Hold != "" {
		t.under(2, []span{t.mark(wait), put(wait, " no growth: ")}, put(plain, "%s", a.Hold))
	}
	t.gauge(2, "all rollback tests together", a.LogE, a.LogNeeded, markOf("rollback", a.LogE >= a.LogNeeded))
	for i, test := range a.Tests {
		if i == 0 || test.Name() != a.Tests[i-1].Name() || test.Method != a.Tests[i-1].Method {
			t.under(2, []span{put(strong, "%s", test.Name()), put(plain, " by %s: ", test.Method)}, put(faint, "%s", facts(test)))
		}
		t.test(test)
	}
	t.answers(a.Answers)
}

// shownExamples is how many disagreements a screen has room for; explain lists all.
const shownExamples = 3

// answers are a shadow's beside stable's.
func (t *sheet) answers(a *analysis.Answers) {
	if a == nil {
		return
	}
	t.heading(put(strong, "ANSWERS"), put(plain, " of copied requests, by %s; held to: %s", a.By, a.Threshold))
	t.under(2, nil, put(plain, "%s", a.Reason))
	for i, d := range a.Examples {
		if i == shownExamples {
			break
		}
		t.under(2, []span{put(faint, "%s  ", d.ID)}, put(plain, "stable %s, shadow %s", d.Stable, d.Shadow))
	}
}

func (t *sheet) test(test analysis.Test) {
	done := span{faint, test.Found()}
	switch {
	case test.Candidate.N == 0:
	case test.Idle != "":
		done.ink = wait
	case test.Passed:
		done.ink = markOf(test.Direction, true)
	}
	t.gauge(4, test.Direction+" "+test.Threshold, test.LogE, test.LogNeeded, markOf(test.Direction, test.Passed), put(plain, "  "), done)
}

// gauge is evidence against its threshold.
func (t *sheet) gauge(indent int, name string, logE, needed float64, i ink, more ...span) {
	name = t.wash(name)
	name += strings.Repeat(" ", max(0, 30-indent-lipgloss.Width(name)))
	width := t.barWidth(62)
	body := append([]span{put(i, "%s", t.bar(width, logE, needed)), put(plain, "  %s of %s", nats(logE), nats(needed))}, more...)
	t.under(indent, []span{put(plain, "%s ", name)}, body...)
}

// markOf a test: passing is good for a promotion and bad otherwise.
func markOf(direction string, passed bool) ink {
	switch {
	case !passed:
		return plain
	case direction == "promotion":
		return good
	}
	return bad
}

// trips of the rollout that runs, or that ended last.
func (t *sheet) trips(s controller.Snapshot) {
	r := s.State.Rollout
	if r == nil && len(s.State.History) > 0 {
		r = &s.State.History[0].Rollout
	}
	if r == nil || len(r.Trips) == 0 {
		return
	}
	t.heading(put(strong, "TRIPS"), put(plain, " %d of at most %d", len(r.Trips), r.Policy.Trip.Limit))
	for _, trip := range r.Trips {
		i := bad
		switch trip.Outcome {
		case canary.TripCleared, canary.TripResumed:
			i = good
		case canary.TripOpen, canary.TripExpired:
			i = wait
		case canary.TripMoot:
			i = faint
		case canary.TripConfirmed, canary.TripFinal:
		}
		body := []span{put(plain, "%s → ", trip.Reason), put(i, "%s", trip.Outcome)}
		if trip.Text != "" {
			body = append(body, put(plain, ": %s", trip.Text))
		}
		t.under(2, []span{t.mark(i), put(plain, " %d  %s at %s  ", trip.Number, clock(trip.At), percent(trip.Share))}, body...)
	}
	if u := s.Ruling; u != nil {
		t.gauge(4, count(u.N, "mirrored request", "mirrored requests"), u.LogE, u.LogNeeded, wait, put(plain, "  %s", u.Text))
	}
}

func (t *sheet) conditions(s controller.Snapshot) {
	if len(s.Conditions) > 0 {
		t.heading(put(strong, "CONDITIONS"))
	}
	for _, c := range s.Conditions {
		i := conditionInk(c)
		t.under(2, []span{t.mark(i), put(i, " %-11s %-7s ", c.Type, c.Status)}, put(plain, "%s: %s", c.Reason, c.Message))
	}
}

// conditionInk says whether a condition is as one would wish.
func conditionInk(c canary.Condition) ink {
	var wish canary.ConditionStatus
	switch c.Type {
	case canary.Accepted, canary.Ready:
		wish = canary.True
	case canary.Stalled, canary.RolledBack:
		wish = canary.False
	case canary.Progressing, canary.Reconciling:
		return faint
	}
	switch c.Status {
	case wish:
		return good
	case canary.Unknown:
		return wait
	case canary.True, canary.False:
	}
	return bad
}

func (t *sheet) foot(s controller.Snapshot) {
	proxies := "no proxy connected"
	if len(s.Proxies) > 0 {
		proxies = count(int64(len(s.Proxies)), "proxy", "proxies") + " connected: " + strings.Join(s.Proxies, ", ")
	}
	delay := ""
	if s.LogDelay > 0 {
		delay = fmt.Sprintf(" · log entries come %s after a request's end%s", lasting(s.LogDelay), Aged(s.LogAt, s.At))
	}
	t.heading(put(faint, "%s · epoch %d of %d acked%s · as of %s", proxies, s.State.Acked, s.State.Published.Epoch, delay, clock(s.At)))
}
