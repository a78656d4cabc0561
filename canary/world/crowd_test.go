package world_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary/world"
	"github.com/sluice-dev/sluice/config"
)

// hearing remembers which version each unit was sent to under each split, by epoch.
type hearing struct {
	went map[string]map[uint64]string
	sent map[string]int
	torn int // times that a unit was with both versions under one split
}

func newHearing() *hearing {
	return &hearing{went: map[string]map[uint64]string{}, sent: map[string]int{}}
}

func (h *hearing) Handle(_ time.Time, ev world.Event) {
	logged, ok := ev.(*world.Logged)
	if !ok {
		return
	}
	for _, r := range logged.Entries {
		h.sent[r.Unit]++
		went := h.went[r.Unit]
		if went == nil {
			went = map[uint64]string{}
			h.went[r.Unit] = went
		}
		if v := went[r.Epoch]; v != "" && v != r.Version {
			h.torn++
		}
		went[r.Epoch] = r.Version
	}
}

func TestStickyUnitsOnlyMoveToTheCandidateAsItsShareGrows(t *testing.T) {
	spec := plain()
	spec.Rate, spec.PerUnit, spec.Proxies = 2000, 5, 3
	w, err := world.New(spec)
	require.NoError(t, err)
	h := newHearing()
	at := w.Now()
	for i, share := range []uint32{500, 2000, 5000} {
		at = at.Add(30 * time.Second)
		w.Publish(config.Split{Epoch: uint64(i + 1), Shares: config.Carve("v1", "v2", share, 300)})
		w.Run(h, at)
	}
	require.Zero(t, h.torn)
	moved, requests := 0, 0
	for unit, went := range h.went {
		require.NotEmpty(t, unit)
		for epoch := uint64(1); epoch < 3; epoch++ {
			require.False(t, went[epoch] == "v2" && went[epoch+1] == "v1", "%s moved back: %v", unit, went)
			if went[epoch] == "v1" && went[epoch+1] == "v2" {
				moved++
			}
		}
		requests += h.sent[unit]
	}
	require.Positive(t, moved)
	require.InDelta(t, 5, float64(requests)/float64(len(h.sent)), 0.5, "of those that are still about, some are to come")
}

func TestSomeUnitsSendFarMoreThanOthers(t *testing.T) {
	spec := plain()
	spec.Rate, spec.PerUnit = 1000, 10
	w, err := world.New(spec)
	require.NoError(t, err)
	h := newHearing()
	w.Run(h, w.Now().Add(time.Minute))
	var sent []int
	for _, n := range h.sent {
		sent = append(sent, n)
	}
	slices.Sort(sent)
	require.LessOrEqual(t, sent[len(sent)/2], 5, "half of them send few")
	require.Greater(t, sent[len(sent)*99/100], 30, "and a hundredth of them many")
}

func TestWithoutACrowdRequestsAreNobodys(t *testing.T) {
	w, err := world.New(plain())
	require.NoError(t, err)
	h := newHearing()
	w.Run(h, w.Now().Add(10*time.Second))
	require.Len(t, h.sent, 1)
	require.Positive(t, h.sent[""])
}
