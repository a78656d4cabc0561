package analysis

import (
	"slices"
	"time"
)

// Bins sums requests into windows and closes each window once, at its age. One
// Bins serves one inference route and one ledger: a rollout's live requests in
// one, its mirrored ones in another. Not safe for concurrent use.
//
// A request counts in the window of its start. One that ends later than its
// window's age counts, as Late, in the window that was opening one age before its
// end: both arms alike, so nothing is lost and no window waits. One that comes
// when its window is closed counts in the oldest open one. Of one that runs, the
// first byte counts alone, in the same way, as if it were the end; and before that, that
// it was issued, and once it has waited for longer than Bins' patience, that it was so slow.
// Times are the proxies':
// a proxy whose clock is late against Close's by more than an age has its
// requests counted by arrival instead.
type Bins struct {
	first int64 // index of the first window there ever was

	ages    []agedFrom // by index, ascending; never empty
	next    int64      // lowest index that is not closed
	open    map[WindowKey]*Window
	spoiled []span
	waiting waitings
	// patience is as of Patience; 0 is without end.
	patience time.Duration
	last     *Window // of the latest Add; most requests come in runs
}

// agedFrom is the age of windows from an index on.
type agedFrom struct {
	index int64
	age   time.Duration
}

// span is the windows from first to last.
type span struct{ first, last int64 }

// NewBins starts with the first window that opens at or after since. Requests
// that started earlier never count: of those, the ones that ended before since
// were not seen, and the slow rest would speak for them all.
func NewBins(since time.Time, age time.Duration) *Bins {
	first := IndexAt(since.Add(WindowLength - 1))
	return &Bins{
		first: first,
		ages:  []agedFrom{{first, age}},
		next:  first,
		open:  map[WindowKey]*Window{},
	}
}

// SetAge gives an age to the windows that open after now. Those open already
// keep theirs.
func (b *Bins) SetAge(now time.Time, age time.Duration) {
	index := max(IndexAt(now)+1, b.next)
	last := &b.ages[len(b.ages)-1]
	switch {
	case last.age == age:
	case last.index >= index:
		last.age = age
	default:
		b.ages = append(b.ages, agedFrom{index, age})
	}
}

// What Bins count of a request that waits.
const (
	markIssued marks = 1 << iota
	markSlow
)

// SetPatience says for how long requests may wait before they are judged by that.
func (b *Bins) SetPatience(d time.Duration) { b.patience = d }

// Add counts a request. Attempts that are no evidence (retries, pinned ones), and
// requests from before the first window count nowhere.
// Whether a request is mirrored is for the caller to sort out.
func (b *Bins) Add(r Request) {
	index := IndexAt(r.Start)
	if r.Attempt > 1 || r.Pinned || index < b.first {
		return
	}
	var late int64
	if age := b.ageOf(index); r.Duration > age { // of one that runs: until its first byte
		late = 1
		index = IndexAt(r.End().Add(-age))
	}
	key := WindowKey{Index: max(index, b.next), Version: r.Version, Epoch: r.Epoch, Pod: r.Pod}
	switch {
	case r.Waits():
		b.wait(key, r)
	case r.Running:
		was, _ := b.waiting.of(r)
		b.window(key).begin(r, was.Marks)
	default:
		was, _ := b.waiting.end(r)
		b.window(key).count(r, late, was.Marks)
	}
}

// wait counts what is new of a request that waits. Those with a unit are issued when they
// end, for they are not what the split draws.
func (b *Bins) wait(key WindowKey, r Request) {
	var m marks
	if r.Unit == "" {
		m |= markIssued
	}
	if b.patience > 0 && r.Duration > b.patience {
		m |= markSlow
	}
	fresh := b.waiting.mark(r, m, 0)
	if fresh&markIssued != 0 {
		b.window(key).Begun++
	}
	if fresh&markSlow != 0 {
		b.window(key).time(r, (*Times).outlast)
	}
}

// begin counts that the answer of one that runs has begun.
func (w *Window) begin(r Request, was marks) {
	if r.Unit == "" && was&markIssued == 0 {
		w.Begun++
	}
	if was&markSlow == 0 {
		w.time(r, (*Times).begin)
	}
}

// count adds a request's outcome, but for what was counted while it waited.
func (w *Window) count(r Request, late int64, was marks) {
	switch {
	case r.Unit != "":
		w.Units.add(countUnit(r))
	case r.Told, was&markIssued != 0:
		w.Told++
	}
	switch r.Outcome {
	case Abandoned:
		w.Abandoned++
		if was&markSlow == 0 {
			w.abandon(r, late)
		}
		return
	case ClientFault:
		w.ClientErrors++
		return
	case Succeeded, Failed, TimedOut:
	}
	w.Requests++
	w.Late += late
	if r.Segment != "" {
		w.Segments.count(r)
	}
	w.Errors += rateOf(r.Outcome.Error()).Bad
	if was&markSlow == 0 {
		w.time(r, (*Times).end)
	}
}

// abandon adds how long the client of a request waited.
func (w *Window) abandon(r Request, late int64) {
	if r.FirstByte > 0 {
		w.time(r, (*Times).begin)
	}
	if late > 0 {
		w.time(r, (*Times).outlast)
	}
}

// time adds to a window's times, and to those of the request's segment.
func (w *Window) time(r Request, add func(*Times, Request)) {
	add(&w.Times, r)
	if r.Segment != "" {
		add(&w.Segments.of(r.Segment).Times, r)
	}
}

// Merge adds another window of the same key, as from another proxy. It keeps no
// reference to o.
func (w *Window) Merge(o Window) {
	w.Requests += o.Requests
	w.Errors += o.Errors
	w.Abandoned += o.Abandoned
	w.ClientErrors += o.ClientErrors
	w.Late += o.Late
	w.Begun += o.Begun
	w.Told += o.Told
	w.Times.merge(o.Times)
	w.Segments.merge(o.Segments)
	w.Units.merge(o.Units)
}

// Close returns the windows whose age, and LogDelay after it, is over at now:
// sorted, each once, and none without a count. The caller owns them.
func (b *Bins) Close(now time.Time) []Window {
	first := b.next
	for due := b.due(now); due > b.next; due = b.due(now) {
		b.next = due
	}
	if b.next == first {
		return nil
	}
	closed := b.take()
	b.last = nil
	b.forget()
	return closed
}

// Closed is the index of the newest closed window; older ones are closed too.
func (b *Bins) Closed() int64 { return b.next - 1 }

// Spoil drops the windows that may lack requests which ended in a gap from one time
// to another. Windows that are closed already stay as they were; what they lack, both
// arms lack alike.
func (b *Bins) Spoil(from, to time.Time) {
	first := IndexAt(from.Add(-b.longest()))
	b.spoiled = append(b.spoiled, span{first, IndexAt(to)})
}

// take removes what is closed from the open windows and keeps what is whole.
func (b *Bins) take() []Window {
	var closed []Window
	for key, w := range b.open {
		if key.Index >= b.next {
			continue
		}
		delete(b.open, key)
		if !b.isSpoiled(key.Index) {
			closed = append(closed, *w)
		}
	}
	slices.SortFunc(closed, func(a, b Window) int { return a.Compare(b.WindowKey) })
	return closed
}

// forget drops ages and spans that no open window needs.
func (b *Bins) forget() {
	for len(b.ages) > 1 && b.ages[1].index <= b.next {
		b.ages = b.ages[1:]
	}
	b.spoiled = slices.DeleteFunc(b.spoiled, func(s span) bool { return s.last < b.next })
}

func (b *Bins) window(key WindowKey) *Window {
	if b.last != nil && b.last.WindowKey == key {
		return b.last
	}
	w, ok := b.open[key]
	if !ok {
		w = &Window{WindowKey: key}
		b.open[key] = w
	}
	b.last = w
	return w
}

// due is the first window that stays open at now, or gets another age than the next
// one to close: as many steps as there are ages, however long nobody looked.
func (b *Bins) due(now time.Time) int64 {
	open := IndexAt(now.Add(-b.ageOf(b.next) - LogDelay))
	for _, other := range b.ages {
		if other.index > b.next {
			return min(open, other.index)
		}
	}
	return open
}

func (b *Bins) ageOf(index int64) time.Duration {
	for i := len(b.ages) - 1; i > 0; i-- {
		if b.ages[i].index <= index {
			return b.ages[i].age
		}
	}
	return b.ages[0].age
}

// longest is the longest age of the open windows.
func (b *Bins) longest() time.Duration {
	var longest time.Duration
	for _, a := range b.ages {
		longest = max(longest, a.age)
	}
	return longest
}

func (b *Bins) isSpoiled(index int64) bool {
	return slices.ContainsFunc(b.spoiled, func(s span) bool { return s.first <= index && index <= s.last })
}
