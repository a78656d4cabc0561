package review

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/config"
)

func decisionOf(f Facts) Decision {
	d := Decision{
		Verdict: f.Rollout.Verdict,
		Phase:   f.Rollout.Phase,
		Began:   f.Rollout.Began,
	}
	if f.Rollout.Gate != nil {
		d.GateHash = f.Rollout.Gate.Hash
	}
	if f.Finished == nil {
		d.Sentence = f.Last.Reason
		return d
	}
	d.Phase = ""
	d.Outcome = f.Finished.Outcome
	d.Cause = f.Finished.Cause
	d.Sentence = f.Finished.Reason
	d.Ended = f.Finished.Ended
	d.Confirmed, d.Unconfirmed = f.Finished.Confirmed, f.Finished.Unconfirmed
	return d
}

func find(versions []config.Version, name string) config.Version {
	for _, v := range versions {
		if v.Name == name {
			return v
		}
	}
	return config.Version{Name: name}
}

func stepsOf(passages []canary.Passage) []Step {
	steps := make([]Step, 0, len(passages))
	for _, p := range passages {
		steps = append(steps, Step{
			Passage:      p,
			AckDelay:     milliseconds(p.Desired, p.Acked),
			ObserveDelay: milliseconds(p.Desired, p.Observed),
		})
	}
	return steps
}

// milliseconds from a to b, or 0 when b never came.
func milliseconds(a, b time.Time) float64 {
	if b.IsZero() {
		return 0
	}
	return float64(b.Sub(a).Microseconds()) / 1000
}

// notMeasured lists gaps, splits nobody acknowledged, and tests without data.
func notMeasured(f Facts) []string {
	missing := append([]string{}, f.Gaps...)
	for _, p := range f.Rollout.Passages {
		if p.Acked.IsZero() {
			missing = append(missing, fmt.Sprintf("epoch %d (%s at %s) was never acknowledged by every connected proxy", p.Epoch, p.Phase, percent(p.Weight)))
		}
	}
	for _, t := range f.Last.Tests {
		if t.Candidate.N == 0 {
			missing = append(missing, fmt.Sprintf("%s by %s (%s) saw no candidate data", t.Name(), t.Method, t.Direction))
		}
	}
	if a := f.Last.Answers; a != nil {
		for _, why := range slices.Sorted(maps.Keys(a.Left)) {
			missing = append(missing, fmt.Sprintf("the answers to %d copied requests were not compared: %s", a.Left[why], why))
		}
	}
	if len(f.Last.Tests) == 0 {
		missing = append(missing, "no window of requests was judged")
	}
	return missing
}

func entryOf(d canary.Decision) Entry {
	return Entry{
		Seq: d.Seq, At: d.At, Event: d.Event, Actor: d.Actor, Reason: d.Reason, Text: d.Text,
		Refused: d.Refused, Seen: d.Seen, From: d.From, To: d.To, Epoch: d.Split.Epoch,
	}
}

// commands are the shell lines a person can act with now.
func commands(f Facts) []Command {
	name := f.Route.String()
	list := []Command{
		{"hold it where it is", fmt.Sprintf("sluice hold %s --reason '…'", name)},
		{"end it and send everything to " + f.Rollout.Stable, fmt.Sprintf("sluice abort %s --reason '…'", name)},
	}
	if f.Rollout.Phase == canary.Approving && f.Rollout.Gate != nil {
		gate := []Command{
			{"approve this review", fmt.Sprintf("sluice approve %s --hash %s --reason '…'", name, f.Rollout.Gate.Hash)},
			{"reject it", fmt.Sprintf("sluice reject %s --reason '…'", name)},
		}
		list = append(gate, list...)
	}
	return list
}

// percent writes basis points as "12.5%".
func percent(basisPoints uint32) string {
	return fmt.Sprintf("%.4g%%", float64(basisPoints)/100)
}
