package controller

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/config"
)

// What testers see of a broken candidate is for them alone; the same requests,
// drawn by a split, would end the rollout.
func TestFailuresThatTestersAskedForAreNoEvidence(t *testing.T) {
	for _, pinned := range []bool{true, false} {
		t.Run(fmt.Sprintf("pinned %t", pinned), func(t *testing.T) {
			now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			s := newSense(canary.Rollout{Policy: config.Standard(), Stable: "v1", Candidate: "v2"}, config.Key{Namespace: "ml", Name: "filetype"})
			s.bins = analysis.NewBins(now, time.Second)
			s.watch.Split(config.Split{Epoch: 1, Shares: config.Carve("v1", "v2", 500, 0)})
			tripped := false
			for range 200 {
				now = now.Add(50 * time.Millisecond)
				for range 5 {
					s.add(analysis.Request{Route: s.arms.Route, Version: "v1", Epoch: 1, Pod: "a:1", Start: now, Attempt: 1})
				}
				failure := analysis.Request{Route: s.arms.Route, Version: "v2", Pod: "b:1", Start: now, Attempt: 1, Outcome: analysis.Failed, Pinned: pinned}
				if !pinned {
					failure.Epoch = 1
				}
				s.add(failure)
				_, found := s.watch.Look(now)
				tripped = tripped || found
			}
			counted := false
			for _, w := range s.bins.Close(now.Add(time.Minute)) {
				counted = counted || w.Version == "v2"
			}
			require.Equal(t, !pinned, tripped, "trip")
			require.Equal(t, !pinned, counted, "windows of the candidate")
		})
	}
}

// Units that stay with an arm are what is drawn: none is blamed for what one user sends.
func TestUnitsThatStayAreWhatCounts(t *testing.T) {
	for _, sticky := range []bool{true, false} {
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		r := canary.Rollout{Policy: config.Standard(), Stable: "v1", Candidate: "v2"}
		if sticky {
			r.Stickiness = &config.Stickiness{Header: "x-user-id"}
		}
		s := newSense(r, config.Key{Namespace: "ml", Name: "filetype"})
		s.bins = analysis.NewBins(now, time.Second)
		tripped := false
		for i := range 400 {
			now = now.Add(50 * time.Millisecond)
			for k := range 5 {
				s.add(analysis.Request{Route: s.arms.Route, Version: "v1", Epoch: 1, Pod: "a:1", Start: now, Attempt: 1, Unit: fmt.Sprint(i, k)})
			}
			s.add(analysis.Request{Route: s.arms.Route, Version: "v2", Epoch: 1, Pod: "b:1", Start: now, Attempt: 1, Unit: "one user", Outcome: analysis.Failed})
			_, found := s.watch.Look(now)
			tripped = tripped || found
		}
		s.close(now.Add(time.Minute))
		harmful := analysis.Judge(s.policy, s.evidence, now).Verdict == analysis.Harmful
		require.Equal(t, !sticky, tripped, "trip, sticky %t", sticky)
		require.Equal(t, !sticky, harmful, "verdict, sticky %t", sticky)
	}
}
