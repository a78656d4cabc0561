package canary

import (
	"fmt"
	"strings"
	"time"
)

// ack notes that every connected proxy has a split. The clock of a step starts
// with it.
func (m *machine) ack(e Acked) {
	if e.Proxies == 0 || e.Epoch != m.Published.Epoch {
		return // of an older split, or of nobody
	}
	if m.Acked != e.Epoch || m.Proxies != e.Proxies {
		m.sayf("epoch %d is acknowledged by %s%s", e.Epoch, proxies(e.Proxies), stuck(e.Stuck))
	}
	m.Acked, m.Proxies = e.Epoch, e.Proxies
	if m.Nack != nil && !e.Refused {
		m.sayf("no longer refused by %s", m.Nack.Proxy)
		m.Nack = nil
	}
	m.mark(e.Epoch, func(p *Passage) bool { return stamp(&p.Acked, m.now) })
	if len(m.History) > 0 && m.Rollout == nil && m.History[0].Epoch == e.Epoch {
		stamp(&m.History[0].Confirmed, m.now)
		m.History[0].Unconfirmed = e.Stuck
	}
}

// mark changes the passage of an epoch, if the state still has it.
func (m *machine) mark(epoch uint64, change func(*Passage) bool) (changed bool) {
	find := func(passages []Passage) {
		for i := range passages {
			if passages[i].Epoch == epoch {
				changed = change(&passages[i]) || changed
			}
		}
	}
	if m.Rollout != nil {
		find(m.Rollout.Passages)
	}
	for i := range m.History {
		find(m.History[i].Passages)
	}
	return changed
}

// stamp sets a time that was not set.
func stamp(t *time.Time, now time.Time) bool {
	if !t.IsZero() {
		return false
	}
	*t = now
	return true
}

func proxies(n int) string {
	if n == 1 {
		return "1 proxy"
	}
	return fmt.Sprintf("%d proxies", n)
}

func stuck(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "; no longer waiting for " + strings.Join(names, ", ")
}

// nack notes a refusal. Growing waits until what is in force was acknowledged.
func (m *machine) nack(e Nacked) {
	n := Nack{Proxy: e.Proxy, Epoch: e.Epoch, Text: e.Text, At: m.now}
	if was := m.Nack; was != nil && was.Proxy == n.Proxy && was.Epoch == n.Epoch && was.Text == n.Text {
		return
	}
	m.Nack = &n
	m.sayf("%s refused epoch %d: %s", n.Proxy, n.Epoch, n.Text)
}

// observe notes the first log entry under a split. A split that is newer than
// the newest known was handed out and not saved: it took something away, so the
// candidate goes back to the first step.
func (m *machine) observe(e Observed) {
	switch r := m.Rollout; {
	case e.Epoch <= m.Published.Epoch:
		if m.mark(e.Epoch, func(p *Passage) bool { return stamp(&p.Observed, m.now) }) {
			m.sayf("epoch %d is observed at %s", e.Epoch, e.Proxy)
		}
	case r != nil && (r.Phase == Stepping || r.Phase == Approving) && e.Epoch <= m.Used && r.Step > 0 && r.weightAt(0) <= r.weightAt(r.Step):
		m.sayf("epoch %d was in force at %s and not saved, so it took a share away", e.Epoch, e.Proxy)
		m.enter(0)
	}
}

// leave notes that a proxy left. With nobody connected no clock runs.
func (m *machine) leave(e Disconnected) {
	if m.Proxies == e.Remaining {
		return
	}
	m.Proxies = e.Remaining
	m.sayf("%s left; %s connected", e.Proxy, proxies(e.Remaining))
	if e.Remaining > 0 {
		return
	}
	m.Acked, m.Nack = 0, nil
	if r := m.Rollout; r != nil {
		r.Clock, r.Base = time.Time{}, Uncounted
	}
}
