package analysis

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func splitOf(epoch uint64, stable, candidate int64) stratum {
	return stratum{epoch: epoch, stable: sums{requests: stable}, candidate: sums{requests: candidate}}
}

func TestARampAsDeclaredIsNoAlarm(t *testing.T) {
	var s shares
	for epoch, share := range []uint32{500, 1000, 2500, 5000, 500, 1000, 2500, 5000, 500, 1000} {
		for range 100 {
			s.add(splitOf(uint64(epoch), 10_000-int64(share), int64(share)), share)
		}
	}
	assert.Len(t, s.Open, openEpochs)
	assert.Less(t, s.logE(), 0.0)
	assert.Less(t, s.Past.float(), 0.0, "what epochs no longer held were worth is kept")
}

func TestEvidenceOfAWrongSplitOutlivesItsEpoch(t *testing.T) {
	var s shares
	s.add(splitOf(1, 7500, 2500), 500)
	alarm := s.logE()
	assert.Greater(t, alarm, ln(splitAlarm))
	for epoch := uint64(2); epoch < 10; epoch++ {
		s.add(splitOf(epoch, 0, 0), 500)
	}
	assert.InDelta(t, alarm, s.logE(), 1e-6)
	s.add(splitOf(1, 7500, 2500), 500)
	assert.InDelta(t, alarm, s.logE(), 1e-6, "an epoch no longer held counts no more")
}

func TestAnEpochOfOneArmOrUnknownHasNoSplitToCheck(t *testing.T) {
	var s shares
	for _, declared := range []uint32{0, 10_000} {
		s.add(splitOf(1, 500, 500), declared)
	}
	assert.Zero(t, s.logE())
	assert.Empty(t, s.Open)
}

func TestRequestsThatClientsLeftWereSplitToo(t *testing.T) {
	var s shares
	st := splitOf(1, 5000, 2000)
	st.candidate.abandoned = 3000
	s.add(st, 5000)
	assert.Less(t, s.logE(), 0.0)
}
