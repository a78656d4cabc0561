package canary

import (
	"cmp"
	"fmt"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

// look takes an assessment over. Harmful ends the rollout at once, in every
// phase.
func (m *machine) look(a analysis.Assessment) (ended bool) {
	r := m.Rollout
	if a.Verdict == analysis.Blind {
		m.lose(a.Reason)
		return false
	}
	if r.Blind != nil {
		m.sayf("sees again after %s", span(m.now, r.Blind.Since))
		r.Blind = nil
	}
	if a.Verdict == analysis.Harmful {
		m.end(OutcomeRolledBack, CauseEvidence, a.Reason)
		return true
	}
	if a.Verdict != r.Verdict {
		m.sayf("verdict %s, was %s: %s", a.Verdict, r.Verdict, a.Reason)
		r.Verdict, r.Blame = a.Verdict, a.Reason
		if r.Phase == Approving {
			m.freeze()
		}
	}
	m.doubt(a.Hold)
	return false
}

// doubtTime is how long a doubt is noted at the least. One that comes and goes in the meantime is one note and
// not many: growth follows the assessment, the note only tells of it.
const doubtTime = 10 * time.Second

// doubt notes that the evidence asks for no growth, or no longer does.
func (m *machine) doubt(hold string) {
	r := m.Rollout
	switch {
	case hold != "" && r.Doubt == "":
		r.Doubt, r.Doubted = hold, m.now
		m.sayf("no growth: %s", hold)
	case hold == "" && r.Doubt != "" && m.now.Sub(r.Doubted) >= doubtTime:
		m.sayf("no longer in doubt after %s", span(m.now, r.Doubted))
		r.Doubt, r.Doubted = "", time.Time{}
	}
}

// lose notes that signals are missing or disagree.
func (m *machine) lose(reason string) {
	if r := m.Rollout; r.Blind == nil {
		r.Blind = &Blind{Since: m.now, Reason: reason}
		m.sayf("blind: %s", reason)
	}
}

func (m *machine) blind(e Blinded) { m.lose(e.Reason) }

func (m *machine) judgeWaiting(e Judged) {
	if !m.look(e.Assessment) {
		m.expireSeen(e.Assessment)
	}
}

func (m *machine) judgeStep(e Judged) {
	if m.look(e.Assessment) {
		return
	}
	m.count(e.Assessment)
	if len(m.State.Waits(e.Assessment, m.now)) == 0 {
		m.advance(CauseEvidence, e.Assessment.Reason)
		return
	}
	m.expireSeen(e.Assessment)
}

func (m *machine) judgeOnly(e Judged) { m.look(e.Assessment) }

// count notes how many requests the candidate had when the step's clock started.
func (m *machine) count(a analysis.Assessment) {
	r := m.Rollout
	if r.Base == Uncounted && !r.Clock.IsZero() {
		r.Base = a.Requests[r.Candidate]
		m.sayf("counting from %d requests to %s", r.Base, r.Candidate)
	}
}

// retreat goes back to the first step after being blind for too long. It is
// reversible: steps go on from there when signals are back. A person who went on all
// the same gets the whole time again.
func (m *machine) retreat() {
	r := m.Rollout
	limit := r.Policy.Limits.MaxBlind.D()
	if r.Blind == nil || r.Step == 0 || m.now.Sub(r.Blind.counted()) < limit || r.weightAt(0) > r.weightAt(r.Step) {
		return
	}
	forced := ""
	if from := r.Blind.counted(); from != r.Blind.Since {
		forced = fmt.Sprintf(", %s of it since it was forced on", span(m.now, from))
	}
	m.sayf("blind for %s%s, longer than %s (%s): back to the first step", span(m.now, r.Blind.Since), forced, r.Policy.Limits.MaxBlind, r.Blind.Reason)
	m.enter(0)
}

// lookTime is how long past the deadline the next look may take. It has the
// numbers; without one, time alone decides.
const lookTime = 2 * time.Second

// expireUnseen acts when the rollout has lasted its whole time and nobody looked.
func (m *machine) expireUnseen() {
	if m.now.Sub(m.Rollout.Deadline) >= lookTime {
		m.expire(nil)
	}
}

// expireSeen acts when the rollout has lasted its whole time without a decision.
func (m *machine) expireSeen(a analysis.Assessment) {
	if m.now.Before(m.Rollout.Deadline) || m.Rollout.Hold != nil {
		return // time held does not count
	}
	waits := m.State.Waits(a, m.now)
	m.Rollout.Blame = a.Reason
	if a.Verdict == analysis.Healthy && len(waits) > 0 {
		m.Rollout.Blame = waits[0].Text // it is not for evidence that it waits
	}
	m.expire(waits)
}

// expire lets the policy decide about an undecided candidate. It promotes only
// where nothing but evidence is missing: never one that was not seen to serve.
func (m *machine) expire(waits []Wait) {
	r := m.Rollout
	if r.Direct || r.Hold != nil {
		return
	}
	why := fmt.Sprintf("undecided after %s: %s", span(m.now, r.Began), m.standing(r.Blame))
	served := len(waits) == 1 && waits[0].Reason == WaitEvidence
	switch {
	case r.Policy.Limits.OnInconclusive == config.FallbackRollback:
		m.end(OutcomeRolledBack, CauseInconclusive, why)
	case r.Policy.Limits.OnInconclusive != config.FallbackPromote:
		m.halt(why)
	case served:
		r.Overridden = true
		m.promote(CauseInconclusive, why)
	default:
		m.halt(why + "; it has not served enough to be promoted")
	}
}

// standing is what is known, in a few words; evidence is what the last look said.
func (m *machine) standing(evidence string) string {
	r := m.Rollout
	switch {
	case r.Blind != nil:
		return "blind: " + r.Blind.Reason
	case r.Unready != nil:
		return r.Candidate + " has no ready endpoint"
	case m.Proxies == 0:
		return "no proxy is connected"
	}
	return cmp.Or(evidence, r.Blame, "no evidence")
}

// halt holds because nobody and nothing decided.
func (m *machine) halt(why string) {
	m.Rollout.Hold = &Hold{Since: m.now, Actor: Machine, Reason: why}
	m.sayf("held: %s", why)
	m.notify(NoticeHeld)
}
