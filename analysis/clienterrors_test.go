package analysis

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// answering are windows in which stable had 95 good answers and the candidate
// these.
func answering(n, good, clientErrors int64) []Window {
	ws := twoArms(n, 95, 0, good, 0)
	for i := range ws {
		if ws[i].Version == "v2" {
			ws[i].ClientErrors = clientErrors
		}
	}
	return ws
}

func TestClientErrorsThatStableDoesNotGiveAreTheCandidates(t *testing.T) {
	for _, test := range []struct {
		name    string
		windows []Window
		verdict Verdict
		reason  string
	}{
		{"nothing but 404", answering(200, 0, 5), Harmful, "client-errors errors-versus-stable >1.5x: candidate 100% (1000 of 1000), stable 0% (0 of 19000)"},
		{"one in five", answering(200, 4, 1), Harmful, "client-errors errors-versus-stable >1.5x: candidate 20% (200 of 1000)"},
		{"two", answering(2, 4, 1), Undecided, "errors slo ≤ 1%"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := judged(errorPolicy(), 500, test.windows)
			assert.Equal(t, test.verdict, a.Verdict, a.Reason)
			assert.Contains(t, a.Reason, test.reason)
		})
	}
}

func TestClientsThatErrAlikeOnBothArmsHarmNobody(t *testing.T) {
	ws := answering(120, 5, 1)
	for i := range ws {
		if ws[i].Version == "v1" {
			ws[i].ClientErrors = 19
		}
	}
	a := judged(errorPolicy(), 500, ws)
	assert.Equal(t, Healthy, a.Verdict, a.Reason)
}

func TestClientErrorsCountAsRequestsOfTheSplit(t *testing.T) {
	a := judged(errorPolicy(), 500, answering(400, 4, 1))
	assert.Empty(t, a.Hold, "5 of 100 were sent to it")
}

func TestEvidenceFromBeforeThereWasATestOfClientErrorsGoesOn(t *testing.T) {
	p := errorPolicy()
	e := NewEvidence(p, testArms())
	e.Clients = nil
	assert.Equal(t, Undecided, Judge(p, e, time.Unix(1, 0)).Verdict)
	e = e.Update(p, Closed{Windows: answering(400, 0, 5), Shares: map[uint64]uint32{1: 500}})
	assert.Equal(t, rate{N: 2000, Bad: 2000}, e.Clients.Candidate)
}
