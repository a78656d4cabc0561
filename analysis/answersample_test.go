package analysis

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
)

func TestASampleIsEnoughAsOftenAsStated(t *testing.T) {
	for name, p := range map[string]config.PolicySpec{"against the slo": comparing(), "against stable's own": comparing("twice")} {
		within := AnswersToBlame(p, .04)
		require.Positive(t, within, name)
		found := 0
		const runs = 100
		for seed := range uint64(runs) {
			if a, _ := looked(p, seed, int(within)+10, noisy(0, .04)); a.Verdict == Harmful {
				found++
			}
		}
		t.Logf("%s: 4%% differ: %d answers are enough in %d of %d", name, within, found, runs)
		assert.GreaterOrEqual(t, found, 90, name)
	}
}

func TestASampleThatIsAlikePasses(t *testing.T) {
	for name, p := range map[string]config.PolicySpec{"against the slo": comparing(), "against stable's own": comparing("twice")} {
		within := AnswersToPass(p)
		assert.True(t, sampled(p, within, 0).Answers.Proven, name)
		assert.False(t, sampled(p, within-1, 0).Answers.Proven, name)
		t.Logf("%s: %d alike answers pass", name, within)
	}
}

func TestWhatIsToleratedIsNeverBlamed(t *testing.T) {
	assert.Zero(t, AnswersToBlame(comparing(), .005))
	assert.Zero(t, AnswersToBlame(config.Standard(), .05), "nothing is compared")
	assert.Zero(t, AnswersToPass(config.Standard()))
}

func TestFewestIsAQuantileOfTheBinomial(t *testing.T) {
	for _, tt := range []struct {
		n    int64
		p    float64
		want int64
	}{{10, .5, 2}, {100, .02, 0}, {300, .02, 2}, {1000, .02, 13}, {20_000, .02, 368}} {
		delta := 0.0 // exact, up to a mean of 200
		if float64(tt.n)*tt.p > 200 {
			delta = 2
		}
		assert.InDelta(t, tt.want, fewest(tt.n, tt.p), delta, "%d of %v", tt.n, tt.p)
	}
}
