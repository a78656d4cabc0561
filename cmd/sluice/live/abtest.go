package live

import (
	"fmt"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
)

// abTest shows every arm by every outcome, against the reference.
func (t *sheet) abTest(s controller.Snapshot) {
	test, seen, ok := s.ABTest()
	if !ok {
		return
	}
	t.heading(put(strong, "A/B TEST"), put(plain, " %s, %s; bounds hold at every look, but for a chance of %s",
		test.ID, testAge(test, s), test.Spec.Error))
	for _, o := range test.Spec.Outcomes {
		t.line(2, put(strong, "%s", o.Name), put(faint, "  %s, %s is better", o.Kind, o.Better))
		for _, r := range seen.Standing.Compared(o.Name) {
			head := []span{put(plain, "%-12s %8.4g  of %s", r.Arm, r.Value, count(r.N, "unit", "units"))}
			if r.Difference == nil {
				t.line(4, append(head, put(faint, "  the reference"))...)
				continue
			}
			t.under(4, append(head, put(plain, "  ")), against(*r.Difference)...)
		}
	}
	for _, v := range seen.Standing.Verdicts {
		t.line(2, put(plain, "%s is ", v.Arm), put(inkOfStanding(v.Standing), "%s", v.Standing), put(plain, " against %s", test.Spec.Reference))
	}
	t.line(2, put(faint, "%s", seen.Counts))
}

// testAge says how long a test runs, or lasted.
func testAge(t canary.ABTest, s controller.Snapshot) string {
	if t.Runs() {
		return lasting(max(0, s.At.Sub(t.Began))) + " old"
	}
	return "lasted " + lasting(t.Ended.Sub(t.Began))
}

// against is an arm's difference from the reference.
func against(d analysis.ABDifference) []span {
	switch {
	case !d.Bounded:
		return []span{put(faint, "%+.4g, too few to bound", d.Estimate)}
	case d.Better == "":
		return []span{put(wait, "%+.4g, surely from %.4g to %.4g", d.Estimate, d.Low, d.High)}
	case d.Better == d.Arm:
		return []span{put(good, "%+.4g, surely from %.4g to %.4g: better", d.Estimate, d.Low, d.High)}
	}
	return []span{put(bad, "%+.4g, surely from %.4g to %.4g: worse", d.Estimate, d.Low, d.High)}
}

func inkOfStanding(s analysis.ABStanding) ink {
	switch s {
	case analysis.ABBetter:
		return good
	case analysis.ABWorse:
		return bad
	case analysis.ABMixed, analysis.ABUndecided:
	}
	return wait
}

// explainTest says a sentence per arm, and where outcomes went.
func (t *sheet) explainTest(s controller.Snapshot) {
	test, seen, ok := s.ABTest()
	if !ok {
		return
	}
	for _, v := range seen.Standing.Verdicts {
		t.factf(fmt.Sprintf("%s is %s against %s", v.Arm, v.Standing, test.Spec.Reference), "%s", v.Sentence)
	}
	t.factf("what counts", "each unit once, with what became of it within %s of its first request; "+
		"all that is said holds at every look, but for a chance of %s", test.Spec.Within, test.Spec.Error)
	t.factf("outcomes and units", "%s", seen.Counts)
	switch ends := test.Spec.EndsBy; {
	case !test.Runs():
		t.factf("ended", "at %s", clock(test.Ended))
	case ends.String() == "":
		t.factf("ends by", "another strategy, or sluice abort %s", s.State.Route)
	default:
		t.factf("ends by", "%s, another strategy, or sluice abort %s", ends, s.State.Route)
	}
}
