package live

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
)

// percent writes basis points as "12.5%".
func percent(basisPoints uint32) string { return fmt.Sprintf("%.4g%%", float64(basisPoints)/100) }

// reached writes a share that may not be there yet.
func reached(basisPoints *uint32) string {
	if basisPoints == nil {
		return "-"
	}
	return percent(*basisPoints)
}

// lasting writes a length of time as finely as a reader cares for.
func lasting(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	default:
		return d.Truncate(time.Second).String()
	}
}

// nats writes evidence; what rounds to nothing has no sign.
func nats(v float64) string {
	text := fmt.Sprintf("%.2f", v)
	if text == "-0.00" {
		return "0.00"
	}
	return text
}

// fresh is how long what was seen needs no age.
const fresh = 10 * time.Second

// Aged is ", 20s ago" of what was seen longer ago than a moment; else it is empty.
func Aged(seen, now time.Time) string {
	if seen.IsZero() || now.Sub(seen) < fresh {
		return ""
	}
	return ", " + lasting(now.Sub(seen).Truncate(time.Second)) + " ago"
}

// lost is what stops signals now, where no wait of a rollout says so.
func lost(s controller.Snapshot) string {
	if blind(s) {
		return ""
	}
	return s.Gap
}

// blind says whether a rollout waits because signals are missing: the wait says why.
func blind(s controller.Snapshot) bool {
	return slices.ContainsFunc(s.Waits, func(w canary.Wait) bool { return w.Reason == canary.WaitBlind })
}

// reasonOf the verdict, once: a blind one's is among the waits.
func reasonOf(s controller.Snapshot) string {
	if s.Assessment.Verdict == analysis.Blind && blind(s) {
		return "see what it waits for; nothing is judged meanwhile"
	}
	return s.Assessment.Reason
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05Z") }

func count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// verdictOf is what is said of the candidate now, or how the last one ended, while the
// strategy is one that has candidates.
func verdictOf(of controller.Snapshot) string {
	s, r := of.State, of.State.Rollout
	switch {
	case r == nil && (len(s.History) == 0 || of.Route.Strategy.Canary == nil):
		return ""
	case r == nil:
		return string(s.History[0].Outcome)
	case r.Blind != nil:
		return string(analysis.Blind)
	case r.Verdict == "":
		return string(analysis.Undecided)
	}
	return string(r.Verdict)
}

// inkOf a verdict or an outcome.
func inkOf(word string) ink {
	switch word {
	case string(analysis.Healthy), string(canary.OutcomePromoted):
		return good
	case string(analysis.Harmful), string(canary.OutcomeRolledBack):
		return bad
	case string(analysis.Undecided), string(analysis.Blind):
		return wait
	}
	return faint
}

// spoken writes a verdict or an outcome as people say it.
func spoken(word string) string { return canary.Outcome(word).Words() }

// facts are what a test saw of both arms.
func facts(t analysis.Test) string {
	parts := []string{"candidate " + t.Candidate.Text(t.Method)}
	if t.Direction != "integrity" {
		parts = append([]string{"stable " + t.Stable.Text(t.Method)}, parts...)
	}
	if r := t.Ratio; r.Estimate != 0 {
		parts = append(parts, "ratio "+ratio(r.Estimate))
		if r.Low != 0 {
			parts = append(parts, "at least "+ratio(r.Low))
		}
		if r.High != 0 {
			parts = append(parts, "at most "+ratio(r.High))
		}
	}
	return strings.Join(parts, ", ")
}

// ratio writes three digits, and no power of ten.
func ratio(v float64) string {
	if v < 1000 {
		return fmt.Sprintf("%.3g", v)
	}
	return fmt.Sprintf("%.0f", v)
}
