package analysis

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
)

func noon() time.Time { return time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC) }

// liveAnswer is an attempt at stable that was answered with 200 and a digest.
func liveAnswer(digest string) Request {
	return Request{ID: "r1", Version: "v1", Epoch: 7, Pod: "a:1", Issued: true, Attempt: 1, Status: "200", Digest: digest, Start: noon()}
}

func shadowAnswer(digest string) Request {
	r := liveAnswer(digest)
	r.Version, r.Shadow = "v2", true
	return r
}

func againAnswer(digest string) Request {
	r := liveAnswer(digest)
	r.Shadow = true
	return r
}

func ended(r Request, status string, o Outcome) Request {
	r.Status, r.Outcome = status, o
	return r
}

func copying() config.Split {
	return config.Split{Epoch: 7, Shares: config.Whole("v1"), Mirror: config.Share{Version: "v2", Weight: 5000}}
}

func pairing(p config.PolicySpec, requests ...Request) []Comparison {
	m, _ := p.Answers()
	pairs := NewPairs(m, compared())
	split := copying()
	if m.Twice() {
		pairs.Split(split) // of another epoch: a trip's copies are not repeated
		split.Repeat = config.Share{Version: "v1", Weight: 5000}
	}
	pairs.Split(split)
	for _, r := range requests {
		pairs.Add(noon(), r)
	}
	return pairs.Close(noon().Add(10 * time.Second))
}

func TestAnswersToOneRequestAreCompared(t *testing.T) {
	unsent := shadowAnswer("")
	unsent.Pod, unsent.Issued = "", false
	unsent = ended(unsent, "", Failed)
	other := shadowAnswer("cat")
	other.ID = "r2"
	pinned := liveAnswer("cat")
	pinned.Pinned = true
	before := liveAnswer("cat")
	before.Epoch = 6
	alike := func(stable, shadow string) Comparison { return Comparison{ID: "r1", Stable: stable, Shadow: shadow} }
	differ := func(stable, shadow string) Comparison {
		return Comparison{ID: "r1", Stable: stable, Shadow: shadow, Differs: true}
	}
	left := func(why LeftOut, stable, shadow string) Comparison {
		return Comparison{ID: "r1", Stable: stable, Shadow: shadow, Left: why}
	}
	for _, tt := range []struct {
		name     string
		requests []Request
		want     []Comparison
	}{
		{"of the same digest", []Request{liveAnswer("cat"), shadowAnswer("cat")}, []Comparison{alike("cat", "cat")}},
		{"in whatever order they come", []Request{shadowAnswer("cat"), liveAnswer("cat")}, []Comparison{alike("cat", "cat")}},
		{"of other digests", []Request{liveAnswer("cat"), shadowAnswer("dog")}, []Comparison{differ("cat", "dog")}},
		{"of another status", []Request{liveAnswer("cat"), ended(shadowAnswer(""), "503", Failed)}, []Comparison{differ("cat", "503")}},
		{"where no answer came", []Request{liveAnswer("cat"), ended(shadowAnswer(""), "", Failed)}, []Comparison{differ("cat", "no answer")}},
		{"where one was cut off", []Request{liveAnswer("cat"), ended(shadowAnswer("cat"), "200", TimedOut)}, []Comparison{differ("cat", "200, cut off")}},
		{"of the same client error", []Request{ended(liveAnswer(""), "404", ClientFault), ended(shadowAnswer(""), "404", ClientFault)}, []Comparison{alike("404", "404")}},
		{"of one client error", []Request{liveAnswer("cat"), ended(shadowAnswer(""), "404", ClientFault)}, []Comparison{differ("cat", "404")}},
		{"of the attempt that users got", []Request{ended(liveAnswer(""), "503", Failed), liveAnswer("cat"), shadowAnswer("cat")}, []Comparison{alike("cat", "cat")}},
		{"but not without a digest", []Request{liveAnswer("cat"), shadowAnswer("")}, []Comparison{left(LeftUnlabelled, "cat", "200")}},
		{"but not where stable failed", []Request{ended(liveAnswer(""), "503", Failed), shadowAnswer("cat")}, []Comparison{left(LeftUnanswered, "503", "cat")}},
		{"but not with a copy that was not sent", []Request{liveAnswer("cat"), unsent}, []Comparison{left(LeftUnsent, "cat", "no answer")}},
		{"but not where stable's was not told of", []Request{shadowAnswer("cat")}, []Comparison{left(LeftUnmatched, "no answer", "cat")}},
		{"but not where the client left", []Request{liveAnswer("cat"), ended(shadowAnswer(""), "", Abandoned)}, []Comparison{left(LeftUnmatched, "cat", "no answer")}},
		{"but not those that were not copied", []Request{liveAnswer("cat")}, nil},
		{"but not of two requests", []Request{liveAnswer("cat"), other}, []Comparison{{ID: "r2", Stable: "no answer", Shadow: "cat", Left: LeftUnmatched}}},
		{"but not a tester's", []Request{pinned, shadowAnswer("cat")}, []Comparison{left(LeftUnmatched, "no answer", "cat")}},
		{"but not under a split that copies nothing", []Request{before}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, pairing(comparing(), tt.requests...))
		})
	}
}

func TestStatusesAreComparedWithoutDigests(t *testing.T) {
	p := comparing()
	p.Metrics[0].Compare.By = config.CompareStatus
	assert.Equal(t, []Comparison{{ID: "r1", Stable: "200", Shadow: "200"}}, pairing(p, liveAnswer("cat"), shadowAnswer("dog")))
	assert.True(t, pairing(p, liveAnswer(""), ended(shadowAnswer(""), "500", Failed))[0].Differs)
}

func TestStablesSecondAnswerIsItsNoise(t *testing.T) {
	p := comparing("twice")
	for _, tt := range []struct {
		again          []Request
		noise, differs bool
		left           LeftOut
	}{
		{again: []Request{againAnswer("cat")}, differs: true},
		{again: []Request{againAnswer("cow")}, noise: true, differs: true},
		{again: []Request{ended(againAnswer(""), "503", Failed)}, noise: true, differs: true},
		{again: []Request{againAnswer("")}, left: LeftUnlabelled},
		{left: LeftUnmatched},
	} {
		got := pairing(p, append(tt.again, liveAnswer("cat"), shadowAnswer("dog"))...)
		require.Len(t, got, 1)
		assert.Equal(t, Comparison{ID: "r1", Stable: "cat", Shadow: "dog", Left: tt.left, Twice: tt.left == "", Noise: tt.noise, Differs: tt.differs}, got[0])
	}
	got := pairing(comparing(), againAnswer("cow"), liveAnswer("cat"), shadowAnswer("cat"))
	assert.Equal(t, []Comparison{{ID: "r1", Stable: "cat", Shadow: "cat"}}, got, "of those who did not ask for it, nothing is expected")
}

func TestAnswersWaitTheirTimeWhateverTheyAre(t *testing.T) {
	m, _ := comparing().Answers()
	pairs := NewPairs(m, compared())
	pairs.Split(copying())
	for i, id := range []string{"second", "first"} {
		for _, r := range []Request{liveAnswer("cat"), shadowAnswer("dog")} {
			r.ID, r.Start = id, noon().Add(-time.Duration(i)*time.Second)
			pairs.Add(noon(), r)
		}
	}
	assert.Empty(t, pairs.Close(noon().Add(9999*time.Millisecond)))
	got := pairs.Close(noon().Add(10 * time.Second))
	require.Len(t, got, 2)
	assert.Equal(t, []string{"first", "second"}, []string{got[0].ID, got[1].ID}, "in the order in which the requests started")
	assert.Empty(t, pairs.Close(noon().Add(time.Hour)))
	assert.Empty(t, pairs.waiting)
}

// A tenth of many requests is copied, and copies are answered last: those that are held
// are held with their copies.
func TestWhatWaitsIsBoundedAndNoCopyLacksItsRequest(t *testing.T) {
	m, _ := comparing().Answers()
	pairs := NewPairs(m, compared())
	pairs.Split(copying())
	answered := func(r Request, every int) {
		for i := 0; i < 3*mostWaiting; i += every {
			r.ID = fmt.Sprint(i)
			pairs.Add(noon(), r)
		}
	}
	answered(liveAnswer("cat"), 1)
	answered(shadowAnswer("cat"), 10)
	assert.LessOrEqual(t, len(pairs.waiting), mostWaiting)
	all := pairs.Close(noon().Add(10 * time.Second))
	assert.Greater(t, len(all), mostWaiting/50)
	for _, c := range all {
		require.Empty(t, c.Left)
	}
	for epoch := range uint64(1000) {
		split := copying()
		split.Epoch = epoch
		pairs.Split(split)
	}
	assert.LessOrEqual(t, len(pairs.copying), mostCopying)
}

func copyOf(version, body string) Copy {
	return Copy{ID: "r1", Version: version, Epoch: 7, Status: 200, Body: []byte(body)}
}

func byBodies(twice ...string) config.PolicySpec {
	p := comparing(twice...)
	p.Metrics[0].Compare = &config.Compare{By: config.CompareLabel, Field: "label", Within: p.Metrics[0].Compare.Within}
	return p
}

func pairingCopies(p config.PolicySpec, requests []Request, copies ...Copy) []Comparison {
	m, _ := p.Answers()
	pairs := NewPairs(m, compared())
	split := copying()
	split.Repeat = config.Share{Version: "v1", Weight: 5000}
	pairs.Split(split)
	for _, r := range requests {
		pairs.Add(noon(), r)
	}
	for _, c := range copies {
		pairs.Copied(noon(), GistOf(pairs.Reads(), c))
	}
	return pairs.Close(noon().Add(10 * time.Second))
}

func TestBodiesOfCopiesAreCompared(t *testing.T) {
	const cat, dog = `{"label":"cat"}`, `{"label":"dog"}`
	failed := copyOf("v2", "")
	failed.Status = 503
	long := copyOf("v2", "")
	long.Long = true
	unsent := ended(shadowAnswer(""), "", Failed)
	unsent.Pod, unsent.Issued = "", false
	for _, tt := range []struct {
		name     string
		requests []Request
		copies   []Copy
		want     []Comparison
	}{
		{"alike", nil, []Copy{copyOf("v1", cat), copyOf("v2", cat)}, []Comparison{{ID: "r1", Stable: `"cat"`, Shadow: `"cat"`}}},
		{"not alike", nil, []Copy{copyOf("v2", dog), copyOf("v1", cat)}, []Comparison{{ID: "r1", Stable: `"cat"`, Shadow: `"dog"`, Differs: true}}},
		{"of another status", nil, []Copy{copyOf("v1", cat), failed}, []Comparison{{ID: "r1", Stable: `"cat"`, Shadow: "503", Differs: true}}},
		{
			"one that is no answer",
			[]Request{ended(shadowAnswer(""), "", Failed)},
			[]Copy{copyOf("v1", cat)},
			[]Comparison{{ID: "r1", Stable: `"cat"`, Shadow: "no answer", Differs: true}},
		},
		{"one that was not sent", []Request{unsent}, []Copy{copyOf("v1", cat)}, []Comparison{{ID: "r1", Stable: `"cat"`, Shadow: "no answer", Left: LeftUnsent}}},
		{
			"one that cannot be read", nil,
			[]Copy{copyOf("v1", cat), copyOf("v2", "{}")},
			[]Comparison{{ID: "r1", Stable: `"cat"`, Shadow: "body: has no field label", Differs: true}},
		},
		{
			"one that is too long", nil,
			[]Copy{copyOf("v1", cat), long},
			[]Comparison{{ID: "r1", Stable: `"cat"`, Shadow: "a long answer", Left: LeftLong}},
		},
		{
			"stable's that cannot be read", nil,
			[]Copy{copyOf("v1", "{}"), copyOf("v2", cat)},
			[]Comparison{{ID: "r1", Stable: "body: has no field label", Shadow: `"cat"`, Left: LeftUnreadable}},
		},
		{
			"never what users got",
			[]Request{liveAnswer("cat"), shadowAnswer("dog")},
			nil,
			[]Comparison{{ID: "r1", Stable: "no answer", Shadow: "no answer", Left: LeftUnmatched}},
		},
		{
			"one whose body is lost",
			[]Request{shadowAnswer("")},
			[]Copy{copyOf("v1", cat)},
			[]Comparison{{ID: "r1", Stable: `"cat"`, Shadow: "no answer", Left: LeftUnmatched}},
		},
		{
			"only with stable's own copy",
			[]Request{liveAnswer("cat")},
			[]Copy{copyOf("v2", cat)},
			[]Comparison{{ID: "r1", Stable: "no answer", Shadow: `"cat"`, Left: LeftUnmatched}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, pairingCopies(byBodies(), tt.requests, tt.copies...))
		})
	}
	second := copyOf("v1", dog)
	second.Second = true
	got := pairingCopies(byBodies("twice"), nil, second, copyOf("v1", cat), copyOf("v2", cat))
	assert.Equal(t, []Comparison{{ID: "r1", Stable: `"cat"`, Shadow: `"cat"`, Twice: true, Noise: true}}, got)
}

func TestBodiesThatWaitAreBounded(t *testing.T) {
	p := byBodies()
	m, _ := p.Answers()
	pairs := NewPairs(m, compared())
	split := copying()
	split.Repeat = config.Share{Version: "v1", Weight: 5000}
	pairs.Split(split)
	long := `{"label":"` + strings.Repeat("x", 200_000) + `"}`
	for i := range 1000 {
		c := copyOf("v1", long)
		c.ID = fmt.Sprint(i)
		pairs.Copied(noon(), GistOf(pairs.Reads(), c))
	}
	assert.Less(t, pairs.bytes, mostBytes+300_000)
	pairs.Close(noon().Add(time.Minute))
	assert.Zero(t, pairs.bytes)
}
