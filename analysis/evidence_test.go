package analysis

import (
	"encoding/json"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// anyWindows draws windows of both arms, a third version, and several epochs and
// pods, in order of time.
func anyWindows(t *rapid.T) []Window {
	var ws []Window
	indexes := rapid.SliceOfNDistinct(rapid.Int64Range(-50, 150), 1, 60, rapid.ID).Draw(t, "indexes")
	slices.Sort(indexes)
	rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
	for _, index := range indexes {
		for range rng.IntN(7) {
			version := []string{"v1", "v1", "v2", "other"}[rng.IntN(4)]
			pod := []string{"", "a:1", "b:1", "c:1", "d:1"}[rng.IntN(5)]
			n := rng.Int64N(30)
			w := windowOf(index, version, 1+rng.Uint64N(9), pod, n, rng.Int64N(n+1)*rng.Int64N(2))
			w.Abandoned, w.ClientErrors = rng.Int64N(3), rng.Int64N(3)
			for range w.Requests - w.Errors {
				w.Latencies.AddIndex(uint16(300 + rng.IntN(60)))
			}
			ws = append(ws, w)
		}
	}
	return ws
}

// halved cuts a window into two that merge to it, as two proxies would have it.
func halved(rng *rand.Rand, w Window) (Window, Window) {
	part := func(n int64) (int64, int64) {
		k := rng.Int64N(n + 1)
		return k, n - k
	}
	a, b := w, w
	a.Requests, b.Requests = part(w.Requests)
	a.Errors, b.Errors = part(w.Errors)
	a.Abandoned, b.Abandoned = part(w.Abandoned)
	a.ClientErrors, b.ClientErrors = part(w.ClientErrors)
	a.Latencies, b.Latencies = nil, nil
	for _, bucket := range w.Latencies {
		x, y := part(int64(bucket.Count))
		for range x {
			a.Latencies.AddIndex(bucket.Index)
		}
		for range y {
			b.Latencies.AddIndex(bucket.Index)
		}
	}
	return a, b
}

func declaredShares() map[uint64]uint32 {
	return map[uint64]uint32{1: 500, 2: 1000, 3: 2500, 4: 5000, 5: 0, 6: 10_000, 7: 100, 8: 200}
}

func bytesOf(t require.TestingT, e Evidence) string {
	text, err := json.Marshal(e)
	require.NoError(t, err)
	return string(text)
}

func TestEvidenceIsTheSameHoweverWindowsWereGrouped(t *testing.T) {
	p := fullPolicy()
	rapid.Check(t, func(t *rapid.T) {
		ws := anyWindows(t)
		whole := NewEvidence(p, testArms()).Update(p, Closed{Windows: ws, Shares: declaredShares()})
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "grouping"), 1))

		e := NewEvidence(p, testArms())
		for len(ws) > 0 {
			n := 1 + rng.IntN(len(ws))
			for n < len(ws) && ws[n].Index == ws[n-1].Index {
				n++ // each index comes whole
			}
			var parts []Window
			for _, w := range ws[:n] {
				a, b := halved(rng, w)
				parts = append(parts, a, b)
			}
			rng.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
			e = e.Update(p, Closed{Windows: parts, Shares: declaredShares()})
			ws = ws[n:]
		}
		require.Equal(t, bytesOf(t, whole), bytesOf(t, e))
	})
}

// The sum was made on amd64 and checked on 386. Should it change, saved evidence of
// a running rollout means something else to the new binary.
func TestEvidenceIsTheSameOnAnyMachine(t *testing.T) {
	p := fullPolicy()
	rng := rand.New(rand.NewPCG(20240607, 1))
	e := NewEvidence(p, testArms())
	for index := range int64(1000) {
		var ws []Window
		for pod := range int64(6) {
			version := []string{"v1", "v2"}[pod%2]
			w := windowOf(index, version, 1+uint64(index/300), string(rune('a'+pod)), rng.Int64N(20), 0)
			w.Errors = min(w.Requests, rng.Int64N(40)/38)
			for range w.Requests - w.Errors {
				w.Latencies.AddIndex(uint16(400 + rng.Int64N(40) + 3*(pod%2)))
			}
			ws = append(ws, w)
		}
		e = e.Update(p, Closed{Windows: ws, Shares: declaredShares()})
	}
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(bytesOf(t, e)))
	assert.Equal(t, uint64(0x48273b23d6094d8f), sum.Sum64())
}

func TestEvidenceSurvivesARestart(t *testing.T) {
	p := fullPolicy()
	rapid.Check(t, func(t *rapid.T) {
		ws := anyWindows(t)
		cut := rapid.IntRange(0, len(ws)).Draw(t, "cut")
		for cut > 0 && cut < len(ws) && ws[cut].Index == ws[cut-1].Index {
			cut++
		}
		before := NewEvidence(p, testArms()).Update(p, Closed{Windows: ws[:cut], Shares: declaredShares()})
		var loaded Evidence
		require.NoError(t, json.Unmarshal([]byte(bytesOf(t, before)), &loaded))
		rest := Closed{Windows: ws[cut:], Shares: declaredShares()}
		now := time.Unix(1, 0)
		require.Equal(t, bytesOf(t, before.Update(p, rest)), bytesOf(t, loaded.Update(p, rest)))
		require.Equal(t, Judge(p, before.Update(p, rest), now), Judge(p, loaded.Update(p, rest), now))
	})
}

// What came after the last save was never seen: a restart goes on as a run to which it
// never came.
func TestARestartIsAsIfWhatWasNotSavedNeverCame(t *testing.T) {
	p := fullPolicy()
	rapid.Check(t, func(t *rapid.T) {
		ws := anyWindows(t)
		anyUnits(t, ws)
		saved := whole(ws, rapid.IntRange(0, len(ws)).Draw(t, "saved"))
		back := whole(ws, rapid.IntRange(saved, len(ws)).Draw(t, "back"))
		shares := declaredShares()
		dies := NewEvidence(p, testArms()).Segmented(5).ByUnit().Update(p, Closed{Windows: ws[:saved], Shares: shares})
		text := bytesOf(t, dies)
		_ = dies.Update(p, Closed{Windows: ws[saved:back], Shares: shares}) // is lost
		var loaded Evidence
		require.NoError(t, json.Unmarshal([]byte(text), &loaded))
		unseen := append(slices.Clone(ws[:saved]), ws[back:]...)
		want := NewEvidence(p, testArms()).Segmented(5).ByUnit().Update(p, Closed{Windows: unseen, Shares: shares})
		require.Equal(t, bytesOf(t, want), bytesOf(t, loaded.Update(p, Closed{Windows: ws[back:], Shares: shares})))
	})
}

// whole moves a cut to the end of its index.
func whole(ws []Window, cut int) int {
	for cut > 0 && cut < len(ws) && ws[cut].Index == ws[cut-1].Index {
		cut++
	}
	return cut
}

func TestAnUpdateLeavesTheOldEvidenceAlone(t *testing.T) {
	p := fullPolicy()
	rapid.Check(t, func(t *rapid.T) {
		ws := anyWindows(t)
		before := NewEvidence(p, testArms()).Update(p, Closed{Windows: ws, Shares: declaredShares()})
		text := bytesOf(t, before)
		later := slices.Clone(ws)
		for i := range later {
			later[i].Index += 1000
		}
		before.Update(p, Closed{Windows: later, Shares: declaredShares()})
		require.Equal(t, text, bytesOf(t, before))
	})
}

func TestNoWindowIsCountedTwice(t *testing.T) {
	p := fullPolicy()
	ws := twoArms(20, 95, 0, 5, 1)
	once := NewEvidence(p, testArms()).Update(p, Closed{Windows: ws})
	twice := once.Update(p, Closed{Windows: ws[10:]})
	assert.Equal(t, int64(30), twice.Refused)
	twice.Refused = 0
	assert.Equal(t, bytesOf(t, once), bytesOf(t, twice))
}

func TestOneMoreGoodRequestNeverRaisesHarm(t *testing.T) {
	p := fullPolicy()
	p.Warmup.PerPod = 0 // else the request could end a warm-up
	rapid.Check(t, func(t *rapid.T) {
		ws := anyWindows(t)
		harm := harmOf(Judge(p, NewEvidence(p, testArms()).Update(p, Closed{Windows: ws}), time.Unix(1, 0)))
		i := rapid.IntRange(0, max(0, len(ws)-1)).Draw(t, "window")
		if len(ws) == 0 || ws[i].Version != "v2" {
			return
		}
		ws[i].Requests++
		ws[i].Latencies = slices.Clone(ws[i].Latencies)
		ws[i].Latencies.AddIndex(0)
		after := harmOf(Judge(p, NewEvidence(p, testArms()).Update(p, Closed{Windows: ws}), time.Unix(1, 0)))
		for k := range harm {
			require.LessOrEqual(t, after[k], harm[k]+1e-6)
		}
	})
}

// harmOf is the evidence of harm of all tests of requests. (Those of pods are
// drawn at random; see TestOneMoreFastRequestNeverRaisesHarm.)
func harmOf(a Assessment) (logE []float64) {
	for _, test := range a.Tests {
		if test.Direction == directionRollback && test.Method != methodRank {
			logE = append(logE, test.LogE)
		}
	}
	return logE
}

func TestOneMoreFastRequestNeverRaisesHarm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		loads := make([]load, rapid.IntRange(2, 12).Draw(t, "pods"))
		for i := range loads {
			loads[i] = load{pod: string(rune('a' + i)), n: rapid.Int64Range(20, 40).Draw(t, "n"), side: side(i % 2)}
			loads[i].slow = rapid.Int64Range(0, loads[i].n).Draw(t, "slow")
		}
		loads[0].n, loads[0].slow = 20, min(20, loads[0].slow) // the least busy one is stable's
		seed := rapid.Uint64().Draw(t, "seed")
		var before, after [slopes]nats
		addBlock(&before, loads, 1, seed)
		loads[1].n++
		addBlock(&after, loads, 1, seed)
		for k := range before {
			require.LessOrEqual(t, after[k], before[k]+1)
		}
	})
}

func TestEvidenceOfTwentyPodsIsAFewKilobytes(t *testing.T) {
	p := fullPolicy()
	rng := rand.New(rand.NewPCG(1, 2))
	e := NewEvidence(p, testArms())
	for index := range int64(30*4*60 + 20) { // half an hour, and half a block
		e = e.Update(p, Closed{Windows: podWindows(rng, index), Shares: map[uint64]uint32{1: 500}})
	}
	size := len(bytesOf(t, e))
	t.Logf("%d bytes", size)
	assert.Less(t, size, 12_000)
}
