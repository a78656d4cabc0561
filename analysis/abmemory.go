package analysis

import (
	"cmp"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
)

// abRequests knows whose the newest requests were.
type abRequests struct {
	of    map[uint64]uint64 // unit by request; abGone where the request is a unit that was counted
	order []uint64
	next  int // of order, to be replaced
}

// abGone stands for the unit of a request that was a unit itself and is counted.
const abGone = 1

func newABRequests() abRequests { return abRequests{of: map[uint64]uint64{}} }

func (m *abRequests) put(request, unit uint64) {
	_, known := m.of[request]
	m.of[request] = unit
	switch {
	case known:
	case len(m.order) < mostABRequests:
		m.order = append(m.order, request)
	default:
		delete(m.of, m.order[m.next])
		m.order[m.next] = request
		m.next = (m.next + 1) % mostABRequests
	}
}

// ABSaved is an ABLedger as it is kept.
type ABSaved struct {
	Evidence ABEvidence      `json:"evidence"`
	Counts   ABCounts        `json:"counts"`
	Epochs   map[uint64]bool `json:"epochs,omitempty"`
	// Memory is the units, under observation and counted, and the requests, in a form
	// of this package's.
	Memory []byte `json:"memory,omitempty"`
}

// abForm is of Memory.
const abForm = 1

// Save gives what is to be kept. Equal ledgers give equal bytes.
func (l *ABLedger) Save() ABSaved {
	b := append(make([]byte, 0, l.mostSaved()), abForm)
	b = binary.AppendUvarint(b, uint64(len(l.units)))
	for _, key := range slices.Sorted(maps.Keys(l.units)) {
		b = l.units[key].append(binary.LittleEndian.AppendUint64(b, key))
	}
	b = binary.AppendUvarint(b, uint64(len(l.counted)))
	for _, key := range slices.Sorted(maps.Keys(l.counted)) {
		b = binary.LittleEndian.AppendUint64(b, key)
	}
	b = binary.AppendUvarint(b, uint64(len(l.requests.order)))
	for i := range l.requests.order {
		request := l.requests.order[(l.requests.next+i)%len(l.requests.order)]
		b = binary.LittleEndian.AppendUint64(b, request)
		b = binary.LittleEndian.AppendUint64(b, l.requests.of[request])
	}
	evidence := ABEvidence{Cells: slices.Clone(l.evidence.Cells)}
	return ABSaved{Evidence: evidence, Counts: l.counts, Epochs: maps.Clone(l.epochs), Memory: b}
}

// mostSaved is how many bytes Save takes at most: to grow into them would take as much
// memory several times.
func (l *ABLedger) mostSaved() int {
	const number = binary.MaxVarintLen64
	most := 1 + 3*number + 8*len(l.counted) + 16*len(l.requests.order)
	for _, u := range l.units {
		most += 8 + 3 + (4+len(u.slow))*number + len(u.reports)*(8+2+2*number)
	}
	return most
}

// append writes a subject.
func (u *abSubject) append(b []byte) []byte {
	slices.SortFunc(u.reports, abReport.compare)
	b = binary.AppendVarint(b, u.since)
	b = append(b, byte(u.arm), byte(rateOf(u.moved).Bad), byte(rateOf(u.alone).Bad))
	b = binary.AppendVarint(b, u.failed)
	b = binary.AppendUvarint(b, uint64(len(u.slow)))
	for _, at := range u.slow {
		b = binary.AppendVarint(b, at)
	}
	b = binary.AppendUvarint(b, uint64(len(u.reports)))
	for _, r := range u.reports {
		b = binary.LittleEndian.AppendUint64(b, r.subject)
		b = append(b, r.outcome, byte(rateOf(r.stated).Bad))
		b = binary.AppendVarint(binary.AppendVarint(b, r.value), r.at)
	}
	return b
}

func (r abReport) compare(o abReport) int {
	return cmp.Or(cmp.Compare(r.outcome, o.outcome), cmp.Compare(r.at, o.at), cmp.Compare(r.value, o.value),
		cmp.Compare(r.subject, o.subject), cmp.Compare(rateOf(r.stated).Bad, rateOf(o.stated).Bad))
}

// errABMemory says that a Memory cannot be read.
var errABMemory = errors.New("memory of an A/B test: is not whole, or of another form")

// RestoreABLedger goes on with a test where it was saved.
func RestoreABLedger(t ABTest, s ABSaved) (*ABLedger, error) {
	l := NewABLedger(t)
	l.evidence, l.counts = ABEvidence{Cells: slices.Clone(s.Evidence.Cells)}, s.Counts
	maps.Copy(l.epochs, s.Epochs)
	if len(s.Memory) == 0 {
		return l, nil
	}
	r := abReader{rest: s.Memory}
	if r.byte() != abForm {
		return nil, errABMemory
	}
	for range r.count() {
		key := r.word()
		l.units[key] = r.subject()
	}
	for range r.count() {
		l.counted[r.word()] = struct{}{}
	}
	for range r.count() {
		request := r.word()
		l.requests.put(request, r.word())
	}
	if r.broken || len(r.rest) > 0 || !l.sound() {
		return nil, errABMemory
	}
	return l, nil
}

// sound says whether what was read is of this test.
func (l *ABLedger) sound() bool {
	for _, u := range l.units {
		served := u.arm != unserved
		if int(u.arm) >= len(l.test.Arms) || u.arm < unserved || served && len(u.slow) != len(l.test.Outcomes) {
			return false
		}
		if slices.ContainsFunc(u.reports, func(r abReport) bool { return int(r.outcome) >= len(l.test.Outcomes) }) {
			return false
		}
	}
	return true
}

// abReader reads what Save wrote. Once broken it reads zeros.
type abReader struct {
	rest   []byte
	broken bool
}

func (r *abReader) take(n int) []byte {
	if n < 0 || n > len(r.rest) {
		r.broken, r.rest = true, nil
		return make([]byte, 8)
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *abReader) byte() byte { return r.take(1)[0] }

func (r *abReader) word() uint64 { return binary.LittleEndian.Uint64(r.take(8)) }

func (r *abReader) number() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		n = -1
	}
	r.take(n)
	return v
}

// count reads how many follow; each takes a byte at least.
func (r *abReader) count() int {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		n = -1
	}
	r.take(n)
	if v > uint64(len(r.rest)) {
		r.broken, r.rest = true, nil
		return 0
	}
	return int(v)
}

func (r *abReader) subject() *abSubject {
	u := &abSubject{since: r.number()}
	u.arm, u.moved, u.alone = int8(r.byte()), r.byte() == 1, r.byte() == 1
	u.failed = r.number()
	for range r.count() {
		u.slow = append(u.slow, r.number())
	}
	for range r.count() {
		report := abReport{subject: r.word(), outcome: r.byte(), stated: r.byte() == 1}
		report.value, report.at = r.number(), r.number()
		u.reports = append(u.reports, report)
	}
	return u
}
