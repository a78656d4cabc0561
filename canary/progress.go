package canary

import (
	"time"

	"github.com/sluice-dev/sluice/analysis"
)

// Progress is how far a weight step, or baking, has come towards what it needs
// at least. Evidence decides the rest.
type Progress struct {
	Lasted        time.Duration `json:"lasted"`        // since its split was acknowledged; 0 before
	LeastTime     time.Duration `json:"leastTime"`     // that it lasts
	Requests      int64         `json:"requests"`      // to the candidate, in this step
	LeastRequests int64         `json:"leastRequests"` // 0 while baking
}

// Progress of the rollout at now. It is only there while the candidate has a
// clock: at a weight step and while baking.
func (s State) Progress(a analysis.Assessment, now time.Time) (p Progress, ok bool) {
	r := s.Rollout
	if r == nil || !clocked(r.Phase) {
		return Progress{}, false
	}
	if !r.Clock.IsZero() {
		p.Lasted = max(0, now.Sub(r.Clock))
	}
	if r.Phase == Baking {
		p.LeastTime = r.Bake.D()
		return p, true
	}
	p.LeastTime = r.leastTime()
	p.Requests, p.LeastRequests = r.counted(a), r.leastRequests()
	return p, true
}

// Reach is a candidate's share on its way to users, in basis points. Nil is
// "not yet".
type Reach struct {
	Wanted   uint32  `json:"wanted"`             // by the split that was handed out last
	Acked    *uint32 `json:"acked,omitempty"`    // by every connected proxy
	Observed *uint32 `json:"observed,omitempty"` // in log entries of the newest epoch seen
	// ObservedAt is when the last request began that Observed rests on, or any later one.
	ObservedAt time.Time `json:"observedAt,omitzero"`
}

// Reach of the candidate's share; t is what was seen of the rollout that runs.
// There is none between rollouts. What proxies had that have left is not yet what
// those that come will have.
func (s State) Reach(t Trace) (reach Reach, ok bool) {
	r := s.Rollout
	if r == nil {
		return Reach{}, false
	}
	reach.Wanted = s.Published.Weight(r.Candidate)
	if s.Proxies == 0 {
		return reach, true
	}
	for _, p := range r.Passages {
		if !p.Acked.IsZero() {
			reach.Acked = new(p.Weight)
		}
	}
	if reach.Acked == nil && s.Acked != 0 && s.Acked == s.Published.Epoch {
		reach.Acked = new(reach.Wanted) // by a split from before the rollout, which has not changed any yet
	}
	if n := len(t.Served); n > 0 {
		if weight, seen := t.Served[n-1].Weight(); seen {
			reach.Observed, reach.ObservedAt = &weight, t.last()
		}
	}
	return reach, true
}
