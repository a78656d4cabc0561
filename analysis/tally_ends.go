package analysis

import "time"

const (
	endSlot  = 5 * time.Millisecond
	endSlots = 1024 // about 5 s: a report's age when it is checked, several times over
)

// ends counts attempts by when they ended, by the proxy's clock: exactly for the
// last seconds, and in one number before them.
type ends struct {
	before int64 // ended before the slots
	first  int64 // index of the earliest slot
	slots  []uint32
}

func (e *ends) add(end time.Time) {
	slot := end.UnixNano() / int64(endSlot)
	if e.slots == nil {
		e.slots = make([]uint32, endSlots)
		e.first = slot - endSlots/2
	}
	if slot < e.first {
		e.before++
		return
	}
	e.reach(slot)
	e.slots[slot%endSlots]++
}

// reach moves the slots on until they hold slot.
func (e *ends) reach(slot int64) {
	if slot-e.first >= 2*endSlots { // all of them are past
		for i, n := range e.slots {
			e.before += int64(n)
			e.slots[i] = 0
		}
		e.first = slot - endSlots + 1
	}
	for ; slot-e.first >= endSlots; e.first++ {
		e.before += int64(e.slots[e.first%endSlots])
		e.slots[e.first%endSlots] = 0
	}
}

// upTo counts the attempts that ended at t or before, a slot too many at most.
func (e *ends) upTo(t time.Time) int64 {
	n := e.before
	last := min(t.UnixNano()/int64(endSlot), e.first+int64(len(e.slots))-1)
	for slot := e.first; slot <= last; slot++ {
		n += int64(e.slots[slot%endSlots])
	}
	return n
}
