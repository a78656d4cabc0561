package canary

import "github.com/sluice-dev/sluice/config"

// EpochBlock is how many epochs one save reserves. Half of a block is always
// left for shrinking while nothing can be saved.
const EpochBlock = 64

// assignEpoch gives a changed split an epoch of its own and notes it as a
// passage of the rollout it belongs to.
func (m *machine) assignEpoch() (changed bool) {
	want := m.State.Split(m.route)
	if m.Published.Epoch != 0 && sameSplit(want, m.Published) {
		m.endAt(m.Published.Epoch)
		return false
	}
	m.Used++
	want.Epoch = m.Used
	m.Published = want
	m.pass()
	m.endAt(want.Epoch)
	return true
}

// pass notes the published split with the rollout that it belongs to.
func (m *machine) pass() {
	p := Passage{Epoch: m.Published.Epoch, Phase: m.Phase(), Mirror: m.Published.Mirror, Desired: m.now}
	switch {
	case len(m.History) > 0 && m.History[0].Epoch == 0: // it ended in this step
		f := &m.History[0]
		p.Phase, p.Step, p.Weight = Idle, f.Step, m.Published.Weight(f.Candidate)
		f.Passages = append(f.Passages, p)
	case m.Rollout != nil:
		p.Step, p.Weight = m.Rollout.Step, m.Published.Weight(m.Rollout.Candidate)
		m.Rollout.Passages = append(m.Rollout.Passages, p)
	}
}

// endAt tells rollouts that ended in this step which split ended them.
func (m *machine) endAt(epoch uint64) {
	for i := range m.History {
		f := &m.History[i]
		if f.Epoch != 0 {
			return
		}
		f.Epoch = epoch
		if m.Acked == epoch && m.Proxies > 0 {
			f.Confirmed = m.now
		}
	}
}

// reserve makes room for epochs, once the state of this step is saved.
func (m *machine) reserve() {
	if m.Reserved < m.Used+EpochBlock/2 {
		m.Reserved = m.Used + EpochBlock
	}
}

// startClock starts the clock of a step whose split is in force already.
func (m *machine) startClock() {
	r := m.Rollout
	if r == nil || !r.Clock.IsZero() || !clocked(r.Phase) {
		return
	}
	if m.Proxies > 0 && m.Acked == m.Published.Epoch {
		r.Clock = m.now
	}
}

// clocked says whether a phase has a clock.
func clocked(p Phase) bool { return p == Stepping || p == Baking }

// pin remembers the versions that must not change now.
func (m *machine) pin() {
	known := map[string]config.Version{}
	for _, v := range m.Pinned {
		known[v.Name] = v
	}
	m.Pinned = nil
	for _, name := range m.inUse() {
		v, ok := known[name]
		if !ok {
			v, ok = m.route.Version(name)
		}
		if ok {
			m.Pinned = append(m.Pinned, v)
		}
	}
}

// inUse lists the versions that are stable or in a rollout.
func (m *machine) inUse() []string {
	if m.route.Strategy.Canary == nil || m.Stable == "" {
		return nil
	}
	names := []string{m.Stable}
	if r := m.Rollout; r != nil {
		for _, name := range []string{r.Stable, r.Candidate} {
			if name != m.Stable {
				names = append(names, name)
			}
		}
	}
	return names
}
