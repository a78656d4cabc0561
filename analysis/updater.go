package analysis

import (
	"time"

	"github.com/sluice-dev/sluice/config"
)

// updater is what an update computes once from the policy.
type updater struct {
	block    int64 // windows
	minutes  int64 // planned
	burst    nats  // of errors against stable
	odds     oddsGrid
	limits   []limitSpec
	grids    []limitGrid // of limits
	ranks    [timingCount][]rankSpec
	warmup   config.Warmup
	declared map[uint64]uint32
}

func newUpdater(p config.PolicySpec, declared map[uint64]uint32) *updater {
	errors := metricOf(p, config.MetricErrors)
	u := &updater{
		block: blockOf(p), minutes: minutesOf(p), burst: burstOf(errors),
		limits: limitsOf(p), warmup: p.Warmup, declared: declared,
	}
	if versus := errors.VersusStable; versus != nil {
		u.odds = newOddsGrid(float64(versus.RollbackIf), versus.PromoteIf.Ratio)
	}
	for i, name := range timings() {
		u.ranks[i] = ranksOf(metricOf(p, name))
	}
	for _, l := range u.limits {
		u.grids = append(u.grids, newLimitGrid(l.share))
	}
	return u
}

// minutesOf is how many minutes a policy plans for.
func minutesOf(p config.PolicySpec) int64 {
	return max(1, int64(p.Limits.MaxDuration.D()/time.Minute))
}

func floorDiv(a, b int64) int64 {
	if a%b < 0 {
		return a/b - 1
	}
	return a / b
}
