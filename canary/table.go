package canary

import "fmt"

// rule is one cell of the table: what a phase does with an event.
type rule struct {
	name  string
	apply func(*machine, Event)
}

// does makes a rule of a method for one kind of event, or for every verb.
func does[E any](name string, apply func(*machine, E)) rule {
	return rule{name, func(m *machine, ev Event) {
		e, ok := ev.(E)
		if !ok {
			panic(fmt.Sprintf("canary: rule %q is in the row of %T", name, ev))
		}
		apply(m, e)
	}}
}

// ignored is a decision, too: the event says nothing to that phase.
func ignored() rule { return rule{"-", func(*machine, Event) {}} }

// Phases lists all phases, in the order of the table's columns.
func Phases() []Phase { return []Phase{Idle, Waiting, Stepping, Approving, Tripped, Baking} }

// Kinds lists all kinds of events, in the order of the table's rows.
func Kinds() []Kind {
	return []Kind{
		KindAborted, KindConfigured, KindWithdrawn, KindJudged, KindConcluded, KindSuspected, KindSettled, KindBlinded, KindResized,
		KindAcked, KindNacked, KindObserved, KindDisconnected,
		KindApproved, KindRejected, KindPromoted, KindHeld, KindResumed, KindReverted, KindRetried,
		KindSaveFailed, KindTick,
	}
}

// decide finds the cell of a phase and an event. Every cell is written down;
// testdata/table.txt shows them.
func decide(p Phase, k Kind) rule {
	return row(k)[column(p)]
}

// column is the phase's place in a row.
func column(p Phase) int {
	for i, q := range Phases() {
		if p == q {
			return i
		}
	}
	panic("canary: phase " + string(p) + " is not in the table")
}

// cells of one event, by phase: Idle, Waiting, Stepping, Approving, Tripped,
// Baking.
type cells [6]rule

// row is what every phase does with one kind of event.
func row(k Kind) cells {
	switch k {
	case KindApproved, KindRejected, KindPromoted, KindHeld, KindResumed, KindAborted, KindReverted, KindRetried:
		return verbRow(k)
	case KindAcked, KindNacked, KindObserved, KindDisconnected:
		return proxyRow(k)
	case KindConfigured:
		first, again := does("configure", (*machine).configure), does("reconfigure", (*machine).reconfigure)
		return cells{first, again, again, again, again, again}
	case KindWithdrawn:
		end := does("end", (*machine).withdraw)
		return cells{ignored(), end, end, end, end, end}
	case KindJudged:
		judge := does("judge", (*machine).judgeOnly)
		return cells{ignored(), does("judge, expire", (*machine).judgeWaiting), does("judge, advance, expire", (*machine).judgeStep), judge, judge, judge}
	case KindConcluded:
		return cells{does("end A/B test", (*machine).concludeTest), ignored(), ignored(), ignored(), ignored(), ignored()}
	case KindSuspected:
		trip := does("trip", (*machine).trip)
		return cells{ignored(), ignored(), trip, trip, ignored(), trip}
	case KindSettled:
		return cells{ignored(), ignored(), ignored(), ignored(), does("settle", (*machine).settle), ignored()}
	case KindBlinded:
		b := does("freeze growth", (*machine).blind)
		return cells{ignored(), b, b, b, b, b}
	case KindResized:
		withhold := does("count, withhold", (*machine).resize)
		return cells{does("count", (*machine).resize), withhold, withhold, withhold, withhold, withhold}
	case KindSaveFailed:
		return all(does("save again later", (*machine).fault))
	case KindTick:
		return cells{
			does("save again", (*machine).tickIdle), does("start, time out", (*machine).tickWaiting),
			does("restore, retreat, expire", (*machine).tickStepping), does("restore, time out", (*machine).tickApproving),
			does("settle by time, resume", (*machine).tickTripped), does("restore, finish", (*machine).tickBaking),
		}
	}
	panic("canary: event " + string(k) + " is not in the table")
}

// all phases do the same.
func all(r rule) cells { return cells{r, r, r, r, r, r} }

// proxyRow is the part of the table about proxies.
func proxyRow(k Kind) cells {
	switch k { //nolint:exhaustive // the other kinds are in row
	case KindAcked:
		return all(does("start clock", (*machine).ack))
	case KindNacked:
		return all(does("keep, freeze growth", (*machine).nack))
	case KindObserved:
		return all(does("note", (*machine).observe))
	case KindDisconnected:
		return all(does("stop clock", (*machine).leave))
	}
	panic("canary: event " + string(k) + " is not in the table")
}

// verbRow is the part of the table about verbs.
func verbRow(k Kind) cells {
	idle, noGate := does("refuse", (*machine).refuseIdle), does("refuse", (*machine).refuseNoGate)
	switch k { //nolint:exhaustive // the other kinds are in row
	case KindAborted:
		abort := does("roll back", (*machine).abort)
		return cells{does("end A/B test", (*machine).abortIdle), abort, abort, abort, abort, abort}
	case KindApproved:
		return cells{idle, noGate, noGate, does("advance", (*machine).approve), noGate, noGate}
	case KindRejected:
		return cells{idle, noGate, noGate, does("roll back", (*machine).rejectGate), noGate, noGate}
	case KindPromoted:
		return cells{
			idle, does("start, or all", (*machine).promoteWaiting), does("advance, or all", (*machine).promoteStep),
			does("refuse, or all", (*machine).promoteGate), does("refuse, or all", (*machine).promoteTripped), does("finish", (*machine).promoteBake),
		}
	case KindHeld:
		hold := does("freeze growth", (*machine).hold)
		return cells{idle, hold, hold, hold, hold, hold}
	case KindResumed:
		resume := does("unfreeze", (*machine).resume)
		return cells{idle, resume, resume, resume, does("unfreeze, dismiss trip", (*machine).resumeTripped), resume}
	case KindReverted:
		revert := does("roll back", (*machine).revert)
		return cells{does("back to former", (*machine).revertIdle), revert, revert, revert, revert, does("back to old stable", (*machine).revertBake)}
	case KindRetried:
		running := does("refuse", (*machine).refuseRunning)
		return cells{does("begin", (*machine).retry), running, running, running, running, running}
	}
	panic("canary: verb " + string(k) + " is not in the table")
}

// Takes says whether a verb, by its kind, is not refused out of hand now.
func (s State) Takes(k Kind) bool {
	if k == KindAborted && s.Rollout == nil {
		return s.RunningTest() != nil
	}
	return decide(s.Phase(), k).name != "refuse"
}

// RuleName says what a phase does with a kind of event; "-" is nothing.
func RuleName(p Phase, k Kind) string { return decide(p, k).name }
