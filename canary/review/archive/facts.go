package archive

import (
	"fmt"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/canary/review"
)

func known(s canary.State, rollout string) bool {
	_, _, ok := find(s, rollout)
	return ok || s.ABTest(rollout) != nil
}

// over says whether a rollout, the newest, or an A/B test has ended.
func over(s canary.State, id string) bool {
	t := s.ABTest(id)
	return t != nil && !t.Runs() || len(s.History) > 0 && s.History[0].ID == id
}

// find gives a rollout by id, with its end if it has ended.
func find(s canary.State, rollout string) (canary.Rollout, *canary.Finished, bool) {
	if s.Rollout != nil && s.Rollout.ID == rollout {
		return *s.Rollout, nil, true
	}
	for _, f := range s.History {
		if f.ID == rollout {
			return f.Rollout, &f, true
		}
	}
	return canary.Rollout{}, nil, false
}

// build makes the review of a rollout that the snapshot knows.
func (a *Archive) build(s controller.Snapshot, rollout string) (review.Review, error) {
	decisions, err := a.Log.Decisions(s.State.Route, rollout)
	if err != nil {
		return review.Review{}, err
	}
	if t := s.State.ABTest(rollout); t != nil {
		trace, _ := s.ABTrace(rollout)
		return review.BuildABTest(review.ABFacts{Route: s.State.Route, Test: *t, Trace: trace, Decisions: decisions}, s.At)
	}
	r, finished, ok := find(s.State, rollout)
	if !ok {
		return review.Review{}, fmt.Errorf("%s: there is no rollout %q", s.State.Route, rollout)
	}
	facts := review.Facts{Route: s.State.Route, Rollout: r, Finished: finished, Decisions: decisions, Versions: s.Route.Versions}
	if trace, ok := s.Trace(rollout); ok {
		facts.Versions = trace.Versions
		facts.Gaps = trace.Gaps
		facts.Exposure = []review.Exposure{
			exposure(r.Stable, "stable", trace.Stable),
			exposure(r.Candidate, "candidate", trace.Candidate),
		}
		if trace.Assessment != nil {
			facts.Last = *trace.Assessment
		}
	}
	return review.Build(facts, s.At)
}

func exposure(version, role string, e canary.Exposure) review.Exposure {
	return review.Exposure{
		Version: version, Role: role, Requests: e.Requests, Errors: e.Errors, Abandoned: e.Abandoned,
		Mirrored: e.Mirrored, First: e.First, Last: e.Last,
	}
}
