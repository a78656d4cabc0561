package canary

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

// begin starts a rollout of the asked target. It waits first: growing comes with
// an event of its own, so that what is taken from a superseded candidate waits
// for nothing.
func (m *machine) begin() {
	m.begun = &Origin{State: m.before.clone(), Route: m.route}
	m.Rollouts++
	r := &Rollout{
		ID:        fmt.Sprintf("%s-%d", m.Asked.Target, m.Rollouts),
		Stable:    m.Stable,
		Candidate: m.Asked.Target,
		Try:       m.Asked,
		Direct:    m.former(m.Asked.Target) >= 0,
		Policy:    m.Policy,
		Steps:     m.route.Strategy.Canary.Steps,
		Bake:      m.route.Strategy.Canary.Bake,
		Mirroring: m.route.Mirroring,
		Phase:     Waiting,

		Stickiness: m.route.Stickiness,

		Began:    m.now,
		Since:    m.now,
		Deadline: m.now.Add(m.Policy.Limits.MaxDuration.D()),
		Verdict:  analysis.Undecided,
		Base:     Uncounted,
	}
	r.Offset = offset(m.State.Route, r.ID)
	if m.Ready[r.Candidate] == 0 {
		r.Unready = &Gone{Since: m.now, Fact: cmp.Or(m.Facts[r.Candidate], "none was reported ready yet")}
	}
	m.Rollout = r
	m.sayf("rollout %s begins: %s to replace %s", r.ID, r.Candidate, r.Stable)
	m.notify(NoticeBegan)
}

// offset draws where the candidate's interval starts, so that not always the
// same users come first.
func offset(k config.Key, id string) uint32 {
	sum := sha256.Sum256([]byte(k.String() + "/" + id))
	return uint32(binary.BigEndian.Uint64(sum[:]) % config.WholeSplit)
}

// former finds a version that may come back at once, by the rollback window.
// -1 is none.
func (m *machine) former(version string) int {
	window := m.route.Strategy.Canary.RollbackWindow
	for i, f := range m.Formers[:min(window.Versions, len(m.Formers))] {
		old := window.Age > 0 && m.now.Sub(f.Until) > window.Age.D()
		if f.Version.Name == version && !old && m.unchanged(f.Version) {
			return i
		}
	}
	return -1
}

// unchanged says whether a version is still what it was when it was stable.
func (m *machine) unchanged(was config.Version) bool {
	is, ok := m.route.Version(was.Name)
	return ok && sameModel(was.Model, is.Model) && overlap(was.Endpoints, is.Endpoints)
}

// enter comes to a step: a weight or a gate.
func (m *machine) enter(step int) {
	r := m.Rollout
	r.Step, r.Since = step, m.now
	r.Clock, r.Base = time.Time{}, Uncounted
	if r.Steps[step].Approve == nil {
		r.Phase, r.Gate = Stepping, nil
		m.sayf("step %d of %d: %s", step+1, len(r.Steps), r.gives(r.Steps[step]))
		m.notify(NoticeStepped)
		return
	}
	r.Phase, r.Gate = Approving, &Gate{Opened: m.now}
	m.freeze()
	m.notify(NoticeGate)
}

// advance comes to the next step, or promotes after the last one.
func (m *machine) advance(cause Cause, why string) {
	r := m.Rollout
	if r.Step+1 < len(r.Steps) {
		m.enter(r.Step + 1)
		return
	}
	m.promote(cause, why)
}

// promote makes the candidate stable. The old stable is kept while it bakes.
func (m *machine) promote(cause Cause, why string) {
	r := m.Rollout
	m.Stable = r.Candidate
	if r.Bake == 0 || r.Direct {
		m.end(OutcomePromoted, cause, why)
		return
	}
	m.sayf("%s is promoted: %s", r.Candidate, why)
	r.Phase, r.Since = Baking, m.now
	r.Clock, r.Base, r.Gate = time.Time{}, Uncounted, nil
	m.sayf("%s is kept for %s", r.Stable, r.Bake)
	m.notify(NoticePromoted)
}

// end finishes the rollout. Unless promoted, its stable version has everything.
func (m *machine) end(o Outcome, c Cause, why string) {
	r := m.Rollout
	m.closeTrip(TripMoot, "the rollout ended")
	if o == OutcomePromoted {
		m.Stable = r.Candidate
		m.retire(*r)
		m.pardon(r.Candidate)
	} else {
		m.Stable = r.Stable
	}
	if o == OutcomeRolledBack {
		m.reject(r.Try)
	}
	m.file(Finished{Rollout: *r, Outcome: o, Cause: c, Reason: why, Ended: m.now})
	m.Rollout = nil
	m.sayf("rollout %s ends %s: %s", r.ID, o.Words(), why)
	m.notify(ending(o))
}

// pardon forgets that a version was rejected: users have it now.
func (m *machine) pardon(version string) {
	m.Rejections = slices.DeleteFunc(m.Rejections, func(t Try) bool { return t.Target == version })
	if len(m.Rejections) == 0 {
		m.Rejections = nil // as it is read back
	}
}

// ending is what people are told.
func ending(o Outcome) NoticeKind {
	if o == OutcomePromoted {
		return NoticePromoted
	}
	return NoticeEnded
}

// file adds to the history.
func (m *machine) file(f Finished) {
	m.History = append([]Finished{f}, m.History...)
	m.History = m.History[:min(len(m.History), KeptHistory)]
}

// retire lists the version that was stable among the formers. A former that came
// back drops those above it and leaves the one it replaced out.
func (m *machine) retire(r Rollout) {
	is := func(f Former) bool { return f.Version.Name == r.Candidate }
	if i := slices.IndexFunc(m.Formers, is); r.Direct && i >= 0 {
		m.dropFormers(i + 1)
		return
	}
	for _, v := range m.Pinned {
		if v.Name == r.Stable {
			m.Formers = append([]Former{{Version: v, Until: m.now}}, m.Formers...)
		}
	}
	m.Formers = m.Formers[:min(len(m.Formers), config.MostFormers)]
}

// dropFormers forgets the newest n.
func (m *machine) dropFormers(n int) {
	m.Formers = m.Formers[n:]
	if len(m.Formers) == 0 {
		m.Formers = nil // as JSON gives it back
	}
}

// keptRejections bounds the list of rejected tries.
const keptRejections = 50

// reject notes a try that must not begin again.
func (m *machine) reject(t Try) {
	m.Rejections = append(m.Rejections, t)
	if extra := len(m.Rejections) - keptRejections; extra > 0 {
		m.Rejections = m.Rejections[extra:]
	}
}
