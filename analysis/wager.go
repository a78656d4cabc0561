package analysis

import "math"

// wager is a one-sample e-value against "bad with a chance of at most limit",
// ready for counts: per alternative its logarithm is bad·shift - n·cost.
// research: statistics §2a, absolute SLO.
type wager struct{ shifts, costs []float64 }

// newWager bets on alternatives that lie shifts of log odds above the limit. A
// limit outside (0, 1) leaves nothing to bet on.
func newWager(limit float64, shifts []float64) wager {
	if limit <= 0 || limit >= 1 {
		return wager{}
	}
	w := wager{shifts: shifts, costs: make([]float64, len(shifts))}
	for k, d := range shifts {
		w.costs[k] = ln(1 + float64(limit*(expo(d)-1)))
	}
	return w
}

// best is the largest log likelihood ratio of any alternative. It bounds logE, and
// costs no exponential.
func (w wager) best(bad, n float64) float64 {
	most := math.Inf(-1)
	for k, d := range w.shifts {
		most = max(most, float64(bad*d)-float64(n*w.costs[k]))
	}
	return most
}

// logE is the log of the mean over the alternatives; minus infinity without any.
func (w wager) logE(bad, n float64) float64 {
	logs := make([]float64, len(w.shifts))
	for k, d := range w.shifts {
		logs[k] = float64(bad*d) - float64(n*w.costs[k])
	}
	return logSumExp(logs...) - ln(float64(max(1, len(logs))))
}
