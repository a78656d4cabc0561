package analysis

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluice-dev/sluice/config"
)

// observed is a test of two arms with an outcome of each kind, of which it counts what
// comes within a minute.
func observed() ABTest {
	return ABTest{Arms: []string{"v1", "v2"}, Error: fivePercent, Within: time.Minute, Outcomes: []config.ABOutcome{
		{Name: "clicks", Kind: config.ABRate, Better: config.ABHigher, Missing: config.ABZero},
		{Name: "rating", Kind: config.ABMean, Better: config.ABHigher, Missing: config.ABIgnored},
		{Name: "failures", Kind: config.ABErrors, Better: config.ABLower},
		{Name: "slow", Kind: config.ABSlow, Better: config.ABLower, Limit: config.Duration(time.Second)},
	}}
}

var abDawn = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func after(seconds float64) time.Time { return abDawn.Add(time.Duration(seconds * 1e9)) }

// asked is a request of a unit under the test's epoch.
func asked(id, unit, version string, at float64) Request {
	return Request{Version: version, Epoch: 7, ID: id, Unit: unit, Start: after(at), Duration: 50 * time.Millisecond, Attempt: 1}
}

// joined is a ledger that knows its epoch.
func joined() *ABLedger {
	l := NewABLedger(observed())
	l.Declare(7, true)
	return l
}

// closed counts whatever is open, and gives up on the rest.
func closed(l *ABLedger) *ABLedger {
	l.Close(after(10_000), 5*time.Second)
	return l
}

func cellsOf(l *ABLedger) map[string][2]int64 {
	cells := map[string][2]int64{}
	for _, c := range l.Evidence().Cells {
		cells[c.Outcome+" "+c.Arm] = [2]int64{c.N, int64(c.Sum.float())}
	}
	return cells
}

func TestReportsAreJoinedToTheArmThatServedTheirUnit(t *testing.T) {
	l := joined()
	l.Report(after(.1), ABReport{Request: "r1", Outcome: "clicks", Value: 1}) // before its log entry comes
	l.Serve(asked("r1", "alice", "v1", 0))
	failed := asked("r2", "bob", "v2", 1)
	failed.Outcome, failed.Duration = Failed, 2*time.Second
	l.Serve(failed)
	l.Report(after(2), ABReport{Unit: "bob", Outcome: "rating", Value: 4})
	l.Report(after(3), ABReport{Request: "r2", Outcome: "rating", Value: 5})
	l.Serve(asked("r3", "", "v2", 4)) // a unit of its own
	l.Report(after(5), ABReport{Request: "r3", Outcome: "rating", Value: 2, At: after(4)})
	require.True(t, l.Close(after(5.5), 5*time.Second))
	require.Empty(t, l.Evidence().Cells, "nobody's time is over")
	require.Equal(t, ABCounts{Reported: 4, Waiting: 4, Open: 3}, l.Counts())
	closed(l)
	require.Equal(t, map[string][2]int64{
		"clicks v1": {1, abUnit}, "clicks v2": {2, 0},
		"rating v2":   {2, 6_500_000}, // 4.5 of bob, and 2
		"failures v1": {1, 0}, "failures v2": {2, abUnit},
		"slow v1": {1, 0}, "slow v2": {2, abUnit},
	}, cellsOf(l))
	require.Equal(t, ABCounts{Reported: 4, Counted: 4, Closed: 3}, l.Counts())
}

func TestEveryReportIsAccountedFor(t *testing.T) {
	l := joined()
	l.Serve(asked("r1", "alice", "v1", 0))
	click := ABReport{Unit: "alice", Outcome: "clicks", Value: 1}
	at := func(seconds float64) ABReport {
		r := click
		r.At = after(seconds)
		return r
	}
	l.Report(after(1), click)
	l.Report(after(2), click)  // sent again
	l.Report(after(3), at(3))  // another one, for it says when
	l.Report(after(4), at(3))  // sent again
	l.Report(after(5), at(61)) // too late
	l.Report(after(6), at(-6)) // before there was any
	l.Report(after(7), ABReport{Unit: "nobody", Outcome: "clicks", Value: 1})
	for i := range mostABReports {
		l.Report(after(8), at(8+float64(i)/100))
	}
	l.Close(after(66), 5*time.Second)
	require.Equal(t, ABCounts{Reported: 71, Counted: 62, Waiting: 1, Duplicate: 2, Late: 1, Early: 1, Excess: 4, Closed: 1}, l.Counts())
	l.Report(after(67), click) // after it was counted
	l.Report(after(67), ABReport{Request: "r1", Outcome: "rating", Value: 3})
	l.Close(after(68), 5*time.Second)
	l.Refuse(3)
	require.Equal(t, ABCounts{Reported: 73, Counted: 62, Duplicate: 2, Late: 3, Early: 1, Unknown: 1, Excess: 4, Closed: 1, Refused: 3}, l.Counts())
	l.Serve(asked("r9", "alice", "v1", 70))
	l.Report(after(70), ABReport{Request: "r9", Outcome: "rating", Value: 3})
	closed(l)
	require.EqualValues(t, 4, l.Counts().Late, "who comes back is not counted again")
	require.EqualValues(t, 1, l.Counts().Closed)
}

func TestOnlyWhatTheTestDividedIsItsEvidence(t *testing.T) {
	l := joined()
	l.Declare(8, false)
	for name, change := range map[string]func(*Request){
		"of an epoch before":    func(r *Request) { r.Epoch = 6 },
		"of a tester":           func(r *Request) { r.Pinned = true },
		"a copy":                func(r *Request) { r.Shadow = true },
		"a retry":               func(r *Request) { r.Attempt = 2 },
		"of a version of none":  func(r *Request) { r.Version = "v3" },
		"while an arm was away": func(r *Request) { r.Epoch = 8 },
	} {
		r := asked(name, name, "v1", 0)
		change(&r)
		l.Serve(r)
	}
	require.Equal(t, ABCounts{Outside: 1}, l.Counts())
	l.Serve(asked("a", "alice", "v2", 0))
	away := asked("b", "alice", "v1", 1) // who was in the test stays in it
	away.Epoch, away.Outcome = 8, Failed
	l.Serve(away)
	require.Equal(t, ABCounts{Outside: 1, Closed: 1, Moved: 1}, closed(l).Counts())
	require.Equal(t, [2]int64{1, abUnit}, cellsOf(l)["failures v2"], "with the arm that it was drawn for")
}

func TestALedgerStaysWithinItsBounds(t *testing.T) {
	l := joined()
	for i := range mostABUnits + 3 {
		l.Serve(asked("", fmt.Sprint(i), "v1", 0))
	}
	require.Equal(t, ABCounts{Open: mostABUnits, Outside: 3}, l.Counts())
	closed(l)
	l.Serve(asked("", "new", "v1", 10_001))
	require.Equal(t, ABCounts{Closed: mostABUnits, Outside: 4}, l.Counts(), "who was counted is remembered")
	for i := range mostABWaiting + 2 {
		l.Report(after(1), ABReport{Unit: fmt.Sprint("x", i), Outcome: "clicks"})
	}
	require.EqualValues(t, 2, l.Counts().Excess)
	for i := range mostABRequests + 10 {
		l.requests.put(uint64(i+10), 5)
	}
	require.Len(t, l.requests.of, mostABRequests)
}

// happenings of a test that lasts less than a minute, so that none is late by the order
// it comes in.
func happenings(t *rapid.T) (all []func(*ABLedger)) {
	name := rapid.SampledFrom([]string{"a", "b", "c", "d", ""})
	moment := rapid.Custom(func(t *rapid.T) float64 { return float64(rapid.IntRange(0, 500).Draw(t, "at")) / 10 })
	for i := range rapid.IntRange(1, 30).Draw(t, "requests") {
		r := asked(fmt.Sprint("r", i), name.Draw(t, "unit"), rapid.SampledFrom([]string{"v1", "v2"}).Draw(t, "arm"), moment.Draw(t, "start"))
		r.Outcome = rapid.SampledFrom([]Outcome{Succeeded, Failed, TimedOut}).Draw(t, "end")
		all = append(all, func(l *ABLedger) { l.Serve(r) })
	}
	for range rapid.IntRange(0, 40).Draw(t, "reports") {
		r := ABReport{Unit: name.Draw(t, "of"), Outcome: rapid.SampledFrom([]string{"clicks", "rating"}).Draw(t, "outcome"), Value: float64(rapid.IntRange(0, 1).Draw(t, "value"))}
		if r.Unit == "" {
			r.Request = fmt.Sprint("r", rapid.IntRange(0, 35).Draw(t, "request"))
		}
		if came := moment.Draw(t, "came"); rapid.Bool().Draw(t, "stated") {
			r.At = after(came)
		}
		all = append(all, func(l *ABLedger) { l.Report(after(55), r) })
	}
	return all
}

func TestJoiningInAnyOrderGivesTheSameBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := happenings(t)
		bytes := func(restart int) string {
			l := joined()
			for i, happens := range all {
				if i == restart {
					l = reloaded(t, l)
				}
				happens(l)
			}
			c := l.Counts()
			require.Equal(t, c.Reported, c.Counted+c.Waiting+c.Duplicate+c.Late+c.Early+c.Unknown+c.Excess)
			c = closed(l).Counts()
			require.Equal(t, c.Reported, c.Counted+c.Duplicate+c.Late+c.Early+c.Unknown+c.Excess, "none is lost silently")
			require.Zero(t, c.Waiting+c.Open)
			data, err := json.Marshal(struct {
				Evidence ABEvidence
				Counts   ABCounts
			}{l.Evidence(), l.Counts()})
			require.NoError(t, err)
			return string(data)
		}
		want := bytes(-1)
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 1))
		for range 3 {
			rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			require.Equal(t, want, bytes(rng.IntN(len(all))))
		}
	})
}

// reloaded is what a restart makes of a ledger.
func reloaded(t require.TestingT, l *ABLedger) *ABLedger {
	data, err := json.Marshal(l.Save())
	require.NoError(t, err)
	var saved ABSaved
	require.NoError(t, json.Unmarshal(data, &saved))
	again, err := RestoreABLedger(l.Test(), saved)
	require.NoError(t, err)
	require.Equal(t, l.Save(), again.Save())
	return again
}

func TestAMemoryThatIsBrokenIsRefused(t *testing.T) {
	l := joined()
	l.Serve(asked("r1", "alice", "v2", 0))
	l.Report(after(1), ABReport{Unit: "alice", Outcome: "rating", Value: 4})
	whole := l.Save()
	for i := range len(whole.Memory) - 1 {
		cut := whole
		cut.Memory = whole.Memory[:i+1]
		_, err := RestoreABLedger(l.Test(), cut)
		require.ErrorIs(t, err, errABMemory, "%d bytes of %d", i+1, len(whole.Memory))
	}
	other := l.Test()
	other.Outcomes = other.Outcomes[:1]
	_, err := RestoreABLedger(other, whole)
	require.ErrorIs(t, err, errABMemory, "it is of another test")
}
