package analysis

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/sluice-dev/sluice/config"
)

// Bounds of an ABLedger, which together keep it at about 60 MB, with 20 outcomes at 90.
const (
	// mostABUnits is how many units a test takes in. Where requests are units, so many
	// may be under observation at once.
	mostABUnits = 200_000
	// mostABRequests is how many requests are known by their id, the newest.
	mostABRequests = 200_000
	// mostABWaiting is how many reports wait for their units to be counted, or seen.
	mostABWaiting = 200_000
	// mostABReports is how many of them are of one unit.
	mostABReports = 64
)

// unknownAfter is how long a report waits for a request that it could belong to.
const unknownAfter = time.Minute

// ABReport is what somebody tells of a unit, or of the unit that sent a request, after
// the answer.
type ABReport struct {
	Unit    string    // this, or Request
	Request string    // the id of the request, as its answer had it in x-request-id
	Outcome string    // its name in the test
	Value   float64   // of a rate 0 or 1
	At      time.Time // when it happened
}

// Check says what is wrong with a report, whatever the unit.
func (t ABTest) Check(now time.Time, r ABReport) error {
	var errs []error
	switch {
	case r.Unit == "" && r.Request == "":
		errs = append(errs, errors.New("unit: is missing, and so is request"))
	case r.Unit != "" && r.Request != "":
		errs = append(errs, errors.New("unit: is given, and so is request: give one"))
	case len(r.Unit) > LongestUnit || len(r.Request) > LongestUnit:
		errs = append(errs, fmt.Errorf("unit, request: are longer than %d bytes", LongestUnit))
	}
	if !r.At.IsZero() && (r.At.Unix() < 0 || r.At.After(now.Add(time.Minute))) {
		errs = append(errs, fmt.Errorf("time: is in the future, or before 1970, found %s", r.At.Format(time.RFC3339)))
	}
	return errors.Join(append(errs, t.accept(r.Outcome, r.Value))...)
}

// ABCounts says where reports and units went. Reported is the sum of what follows it.
type ABCounts struct {
	Reported  int64 `json:"reported"`  // well-formed ones
	Counted   int64 `json:"counted"`   // with units that are counted
	Waiting   int64 `json:"waiting"`   // for their unit to be counted, or to be seen
	Duplicate int64 `json:"duplicate"` // equal in all parts to another one
	Late      int64 `json:"late"`      // later than within, or after their unit was counted
	Early     int64 `json:"early"`     // before the unit's first request
	Unknown   int64 `json:"unknown"`   // of nobody who was served by the test
	Excess    int64 `json:"excess"`    // more than are kept

	Refused int64 `json:"refused"` // malformed; not in Reported

	Open    int64 `json:"open"`    // units under observation
	Closed  int64 `json:"closed"`  // units that are counted
	Outside int64 `json:"outside"` // requests of units that came while an arm was away, or more than are taken in
	Moved   int64 `json:"moved"`   // units that two arms served; counted with the first
}

// String says where outcomes and units went, in one sentence.
func (c ABCounts) String() string {
	text := fmt.Sprintf("%d outcomes were reported: %d counted, %d waiting", c.Reported, c.Counted, c.Waiting)
	some := func(n int64, format string) {
		if n > 0 {
			text += fmt.Sprintf(format, n)
		}
	}
	some(c.Duplicate, ", %d duplicate")
	some(c.Late, ", %d late")
	some(c.Early, ", %d before their unit's first request")
	some(c.Unknown, ", %d of nobody who was served")
	some(c.Excess, ", %d more than are kept")
	some(c.Refused, "; %d more were malformed")
	text += fmt.Sprintf("; units counted %d, under observation %d", c.Closed, c.Open)
	some(c.Moved, ", served by two arms %d")
	some(c.Outside, "; requests left out %d")
	return text
}

// ABLedger joins reports to the units that arms served, and counts every unit once:
// when its time is over. What it comes to is the same in whatever order requests and
// reports of the same time arrive. It is not safe for concurrent use.
type ABLedger struct {
	test     ABTest
	evidence ABEvidence
	counts   ABCounts // but for Waiting, Open and the units in counted
	epochs   map[uint64]bool
	units    map[uint64]*abSubject
	counted  map[uint64]struct{} // units that come back are not counted again
	requests abRequests
	swept    time.Time
}

// abSubject is a unit, or what was reported of and not seen yet. Times are in
// nanoseconds since 1970.
type abSubject struct {
	since   int64   // the first request; of a subject that was not seen, the first report
	failed  int64   // the first request that failed, or never
	slow    []int64 // by outcome
	reports []abReport
	arm     int8 // of the first request; unserved if there was none
	moved   bool
	alone   bool // the request is the unit
}

const (
	unserved = -1
	never    = math.MaxInt64
)

type abReport struct {
	subject uint64 // that was named
	value   int64  // in millionths
	at      int64  // when it happened, or else came
	outcome uint8
	stated  bool // when it happened was said
}

// same says whether one repeats the other.
func (r abReport) same(o abReport) bool {
	return r.subject == o.subject && r.outcome == o.outcome && r.value == o.value && r.stated == o.stated && (!r.stated || r.at == o.at)
}

// NewABLedger begins a test.
func NewABLedger(t ABTest) *ABLedger {
	return &ABLedger{test: t, epochs: map[uint64]bool{}, units: map[uint64]*abSubject{}, counted: map[uint64]struct{}{}, requests: newABRequests()}
}

// Test is what the ledger is of.
func (l *ABLedger) Test() ABTest { return l.test }

// Evidence is of the units counted so far.
func (l *ABLedger) Evidence() ABEvidence { return l.evidence }

// Counts says where everything went so far.
func (l *ABLedger) Counts() ABCounts {
	c := l.counts
	c.Closed += int64(len(l.counted))
	return c
}

// Refuse counts reports that were malformed.
func (l *ABLedger) Refuse(n int) { l.counts.Refused += int64(n) }

// Declare says that a split of the test has an epoch, and whether every arm has its
// share in it. Requests of other epochs are none of the test's, and a split in which an
// arm is away gives no new units: the others would be of another time than its own.
func (l *ABLedger) Declare(epoch uint64, whole bool) {
	const kept = 64
	l.epochs[epoch] = whole
	if len(l.epochs) > kept {
		delete(l.epochs, slices.Min(slices.Collect(maps.Keys(l.epochs))))
	}
}

// Serve takes a request.
func (l *ABLedger) Serve(r Request) {
	whole, ours := l.epochs[r.Epoch]
	arm := slices.Index(l.test.Arms, r.Version)
	if nameless := r.Unit == "" && r.ID == ""; !ours || arm < 0 || !r.Evident() || r.Running || nameless {
		return
	}
	id, alone := keyOf('r', r.ID), r.Unit == ""
	key, taken := id, l.counts.Open
	if !alone {
		key, taken = keyOf('u', r.Unit), taken+int64(len(l.counted))
	}
	_, counted := l.counted[key]
	u := l.units[key]
	switch {
	case counted || alone && l.requests.of[id] == abGone:
	case u != nil && u.arm != unserved:
		l.note(u, r, int8(arm))
	case !whole || taken >= mostABUnits:
		l.counts.Outside++
		return
	default:
		l.note(l.enter(key, r.Start.UnixNano(), int8(arm)), r, int8(arm))
		l.units[key].alone = alone
	}
	if !alone && r.ID != "" {
		l.name(id, key)
	}
}

// enter takes a unit in, with what was reported of it before its request was seen.
func (l *ABLedger) enter(key uint64, since int64, arm int8) *abSubject {
	u := l.units[key]
	if u == nil {
		u = &abSubject{}
		l.units[key] = u
	}
	u.since, u.arm, u.failed = since, arm, never
	u.slow = slices.Repeat([]int64{never}, len(l.test.Outcomes))
	l.counts.Open++
	return u
}

// name notes whose request it is, and gives the unit what was reported of the request
// before it was seen.
func (l *ABLedger) name(id, key uint64) {
	l.requests.put(id, key)
	if early := l.units[id]; early != nil {
		delete(l.units, id)
		l.counts.Waiting -= int64(len(early.reports))
		for _, r := range early.reports {
			l.file(key, r)
		}
	}
}

// note adds to a unit what became of a request.
func (l *ABLedger) note(u *abSubject, r Request, arm int8) {
	start := r.Start.UnixNano()
	u.moved = u.moved || arm != u.arm
	if start < u.since || start == u.since && arm < u.arm {
		u.since, u.arm = start, arm
	}
	if r.Outcome.Error() {
		u.failed = min(u.failed, start)
	}
	for i, o := range l.test.Outcomes {
		if o.Kind == config.ABSlow && (r.Duration > o.Limit.D() || r.Outcome == TimedOut) {
			u.slow[i] = min(u.slow[i], start)
		}
	}
}

// Report takes what somebody tells. r must be one that the test's Check accepts.
func (l *ABLedger) Report(now time.Time, r ABReport) {
	l.counts.Reported++
	report := abReport{
		outcome: uint8(slices.IndexFunc(l.test.Outcomes, func(o config.ABOutcome) bool { return o.Name == r.Outcome })),
		subject: keyOf('u', r.Unit), value: fixedOf(r.Value), at: now.UnixNano(), stated: !r.At.IsZero(),
	}
	if report.stated {
		report.at = r.At.UnixNano()
	}
	if r.Unit == "" {
		report.subject = keyOf('r', r.Request)
	}
	key := report.subject
	if unit, known := l.requests.of[key]; known {
		key = unit
	}
	_, counted := l.counted[key]
	if key != abGone && !counted && l.units[key] == nil && l.counts.Waiting < mostABWaiting {
		l.units[key] = &abSubject{since: now.UnixNano(), arm: unserved}
	}
	l.file(key, report)
}

// file adds a report to its unit. One without a unit came too late: others have a unit,
// or there is no room.
func (l *ABLedger) file(key uint64, r abReport) {
	u := l.units[key]
	_, counted := l.counted[key]
	switch {
	case counted || key == abGone:
		l.counts.Late++
	case u == nil || len(u.reports) >= mostABReports || l.counts.Waiting >= mostABWaiting:
		l.counts.Excess++
	default:
		if i := slices.IndexFunc(u.reports, r.same); i >= 0 {
			l.counts.Duplicate++
			u.reports[i].at = min(u.reports[i].at, r.at)
			return
		}
		u.reports = append(u.reports, r)
		l.counts.Waiting++
	}
}

// Close counts the units whose time was over a grace ago, in which requests end and
// their log entries come, and gives up on reports of nobody. It looks once a second and
// says whether it did.
func (l *ABLedger) Close(now time.Time, grace time.Duration) bool {
	if now.Sub(l.swept) < time.Second {
		return false
	}
	l.swept = now
	due, unknown := now.Add(-l.test.Within-grace).UnixNano(), now.Add(-max(unknownAfter, grace)).UnixNano()
	for key, u := range l.units {
		switch {
		case u.arm == unserved && u.since <= unknown:
			l.counts.Unknown += int64(len(u.reports))
		case u.arm != unserved && u.since <= due:
			l.count(u)
			l.over(key, u)
		default:
			continue
		}
		l.counts.Waiting -= int64(len(u.reports))
		delete(l.units, key)
	}
	return true
}

// over remembers that a unit was counted.
func (l *ABLedger) over(key uint64, u *abSubject) {
	l.counts.Open--
	if u.moved {
		l.counts.Moved++
	}
	if u.alone {
		l.counts.Closed++
		l.requests.put(key, abGone)
		return
	}
	l.counted[key] = struct{}{}
}

// count adds a unit to the evidence.
func (l *ABLedger) count(u *abSubject) {
	until, arm := u.since+l.test.Within.Nanoseconds(), l.test.Arms[u.arm]
	sums, of := make([]int64, len(l.test.Outcomes)), make([]int64, len(l.test.Outcomes))
	for _, r := range u.reports {
		switch {
		case r.at > until:
			l.counts.Late++
		case r.at < u.since-abSkew.Nanoseconds():
			l.counts.Early++
		default:
			l.counts.Counted++
			sums[r.outcome] += r.value
			of[r.outcome]++
		}
	}
	for i, o := range l.test.Outcomes {
		switch {
		case o.Kind == config.ABErrors:
			l.evidence.Add(o.Name, arm, abUnit*rateOf(u.failed <= until).Bad)
		case o.Kind == config.ABSlow:
			l.evidence.Add(o.Name, arm, abUnit*rateOf(u.slow[i] <= until).Bad)
		case of[i] == 0 && o.Missing == config.ABIgnored:
		case o.Kind == config.ABRate:
			l.evidence.Add(o.Name, arm, min(sums[i], abUnit))
		default:
			l.evidence.Add(o.Name, arm, sums[i]/max(of[i], 1))
		}
	}
}

// abSkew is how far the clocks of those who report may be behind those of proxies.
const abSkew = 5 * time.Second

// keyOf tells units and requests apart by 64 bits.
func keyOf(kind byte, name string) uint64 {
	return max(stirred(spelled((fnvOffset^uint64(kind))*fnvPrime, name)), abGone+1)
}

// fixedOf is a value in millionths.
func fixedOf(value float64) int64 { return int64(math.Round(value * abUnit)) }
