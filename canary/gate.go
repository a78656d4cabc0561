package canary

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

// bound is what an approval rests on: when any of it changes, the review gets a
// new number and hash, and approvals of the old one are void.
type bound struct {
	Route    config.Key        `json:"route"`
	Rollout  string            `json:"rollout"`
	Number   int               `json:"number"`
	Verdict  analysis.Verdict  `json:"verdict"`
	Versions []config.Version  `json:"versions"`
	Policy   config.PolicySpec `json:"policy"`
}

// freeze numbers the review that an open gate waits for.
func (m *machine) freeze() {
	r := m.Rollout
	r.Gates++
	b := bound{Route: m.State.Route, Rollout: r.ID, Number: r.Gates, Verdict: r.Verdict, Policy: r.Policy}
	for _, v := range m.Pinned {
		b.Versions = append(b.Versions, config.Version{Name: v.Name, Model: v.Model})
	}
	r.Gate.Number, r.Gate.At, r.Gate.Verdict, r.Gate.Hash = r.Gates, m.now, r.Verdict, hash(b)
	m.sayf("review %d (%s) waits for approval at verdict %s", r.Gate.Number, r.Gate.Hash, r.Verdict)
}

func hash(b bound) string {
	text, err := json.Marshal(b)
	if err != nil {
		panic(fmt.Sprintf("canary: a review's facts do not marshal: %v: %+v", err, b)) // only values that do
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
}

func (m *machine) approve(e Approved) {
	r := m.Rollout
	if e.Hash != r.Gate.Hash {
		m.refusef("review %q is not the one that waits: it is number %d, %s, frozen at %s with verdict %s",
			e.Hash, r.Gate.Number, r.Gate.Hash, clock(r.Gate.At), r.Gate.Verdict)
		return
	}
	if waits := m.freezes(m.now); len(waits) > 0 {
		m.refusef("cannot grow now: %s", waits[0].Text)
		return
	}
	m.sayf("review %d is approved by %s", r.Gate.Number, e.Actor)
	m.leaveGate()
}

// leaveGate goes on after a gate. The last one leads to promotion, which still
// waits for evidence.
func (m *machine) leaveGate() {
	r := m.Rollout
	r.Deadline = r.Deadline.Add(m.now.Sub(r.Gate.Opened))
	r.Gate = nil
	if r.Step+1 < len(r.Steps) {
		m.enter(r.Step + 1)
		return
	}
	r.Phase, r.Since = Stepping, m.now
	m.sayf("no steps are left; promotion waits for evidence")
}

func (m *machine) rejectGate(e Rejected) {
	m.end(OutcomeRolledBack, CauseRejected, fmt.Sprintf("review %d is rejected by %s: %s", m.Rollout.Gate.Number, e.Actor, e.Reason))
}

// timeGate fails a rollout that nobody answered.
func (m *machine) timeGate() {
	r := m.Rollout
	limit := r.Steps[r.Step].Approve.Timeout
	if limit > 0 && m.now.Sub(r.Gate.Opened) >= limit.D() {
		m.end(OutcomeRolledBack, CauseGateTimeout, fmt.Sprintf("nobody answered review %d within %s", r.Gate.Number, limit))
	}
}
