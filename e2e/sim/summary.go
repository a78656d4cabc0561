package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/world"
)

// summary is what became of a scenario's trials.
type summary struct {
	scenario
	n          int
	promoted   int
	rolledBack int
	tripped    int
	twice      int

	cleared  []time.Duration // at weight 0
	unended  []time.Duration // of trips that nothing settled
	toTrip   []time.Duration // from the onset of the fault
	toEnd    []time.Duration // likewise, to the final verdict
	exposure []time.Duration // likewise, to the last candidate request
	failed   []int           // candidate requests
}

func summarise(s scenario, results []world.Result) summary {
	sum := summary{scenario: s, n: len(results)}
	for _, r := range results {
		sum.add(r)
	}
	slices.Sort(sum.cleared)
	slices.Sort(sum.toTrip)
	slices.Sort(sum.toEnd)
	slices.Sort(sum.exposure)
	slices.Sort(sum.failed)
	return sum
}

func (s *summary) add(r world.Result) {
	switch r.Outcome {
	case canary.OutcomePromoted:
		s.promoted++
	case canary.OutcomeRolledBack:
		s.rolledBack++
	case canary.OutcomeSuperseded, canary.OutcomeCancelled:
	}
	if len(r.Trips) > 0 {
		s.tripped++
	}
	if len(r.Trips) > 1 {
		s.twice++
	}
	for _, t := range r.Trips {
		switch t.Outcome {
		case canary.TripCleared:
			s.cleared = append(s.cleared, t.Ended.Sub(t.At))
		case canary.TripExpired, canary.TripOpen:
			s.unended = append(s.unended, t.Ended.Sub(t.At))
		case canary.TripConfirmed, canary.TripFinal, canary.TripResumed, canary.TripMoot:
		}
	}
	s.addHarm(r)
}

func (s *summary) addHarm(r world.Result) {
	onset := r.Truth.FirstCandidate.Add(s.onset())
	if len(r.Trips) > 0 {
		s.toTrip = append(s.toTrip, r.Trips[0].At.Sub(onset))
	}
	if r.Outcome == canary.OutcomeRolledBack {
		s.toEnd = append(s.toEnd, r.Ended.Sub(onset))
	}
	s.exposure = append(s.exposure, max(0, r.Truth.LastCandidate.Sub(onset)))
	s.failed = append(s.failed, r.Truth.Hurt)
}

// certainty says how a limit on a share is held against what was seen.
type certainty int

const (
	proven    certainty = iota // the bound of rolled back versions, and what was seen of the rest, must be within
	plausible                  // what was seen must not contradict it: for few trials
)

// broken lists the limits that do not hold.
func (s summary) broken(c certainty) []error {
	var errs []error
	no := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf(s.name+": "+format, args...))
	}
	if s.limits.asked {
		most := func(what string, k int, limit float64, bound bool) {
			low, high := bounds(k, s.n)
			share := float64(k) / float64(s.n)
			worst := map[bool]float64{true: high, false: share}[bound]
			if c == proven && worst > limit || c == plausible && low > limit {
				no("%s %d of %d (%s), at most %.1f%% allowed", what, k, s.n, interval(k, s.n), 100*limit)
			}
		}
		most("rolled back", s.rolledBack, s.limits.rolledBack, true)
		most("not promoted", s.n-s.promoted, 1-s.limits.promoted, false)
		most("tripped", s.tripped, s.limits.tripped, false)
		most("tripped twice", s.twice, s.limits.twice, false)
	} else if s.rolledBack < s.n {
		no("%d of %d harmful versions were not rolled back", s.n-s.rolledBack, s.n)
	}
	for _, l := range []struct {
		what      string
		is, limit time.Duration
	}{
		{"a cleared trip costs at the median", quantile(s.cleared, 0.5), s.limits.cleared},
		{"exposure at the median", quantile(s.exposure, 0.5), s.limits.exposure},
		{"worst exposure", quantile(s.exposure, 1), s.limits.worstExposure},
	} {
		if l.limit > 0 && l.is > l.limit {
			no("%s %s, at most %s allowed", l.what, l.is, l.limit)
		}
	}
	if f := quantile(s.failed, 0.5); s.limits.failed > 0 && f > s.limits.failed {
		no("%d failed requests at the median, at most %d allowed", f, s.limits.failed)
	}
	return errs
}

// String is a few lines for people.
func (s summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n  %d trials: ", s.name, s.about, s.n)
	fmt.Fprintf(&b, "promoted %s, rolled back %s, open %d; ", s.share(s.promoted), s.share(s.rolledBack), s.n-s.promoted-s.rolledBack)
	fmt.Fprintf(&b, "tripped %s, twice %s", s.share(s.tripped), s.share(s.twice))
	if len(s.cleared)+len(s.unended) > 0 {
		fmt.Fprintf(&b, "; %d trips cleared (%s), %d not settled in time", len(s.cleared), spread(s.cleared), len(s.unended))
	}
	if s.limits.asked {
		return b.String()
	}
	fmt.Fprintf(&b, "\n  from the fault to the trip %s; to the final verdict %s; to the last candidate request %s; failed %d, p95 %d, most %d",
		spread(s.toTrip), spread(s.toEnd), spread(s.exposure),
		quantile(s.failed, 0.5), quantile(s.failed, 0.95), quantile(s.failed, 1))
	return b.String()
}

func (s summary) share(k int) string {
	return fmt.Sprintf("%d (%s)", k, interval(k, s.n))
}

func interval(k, n int) string {
	low, high := bounds(k, n)
	return fmt.Sprintf("%.2f%%, 95%% in %.2f–%.2f%%", 100*float64(k)/float64(n), 100*low, 100*high)
}

func spread(sorted []time.Duration) string {
	at := func(q float64) string { return fmt.Sprintf("%.2f", quantile(sorted, q).Seconds()) }
	return fmt.Sprintf("%ss, p95 %ss, most %ss", at(0.5), at(0.95), at(1))
}

// quantile of sorted values; zero of none.
func quantile[T any](sorted []T, q float64) (v T) {
	if len(sorted) == 0 {
		return v
	}
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}
