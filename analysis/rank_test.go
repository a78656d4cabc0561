package analysis

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// loadsOf gives pods 100 requests each, of which so many are slow.
func loadsOf(candidates int, slow ...int64) []load {
	ls := make([]load, len(slow))
	for i, s := range slow {
		ls[i] = load{pod: string(rune('a' + i)), n: 100, slow: s}
		if i < candidates {
			ls[i].side = ofCandidate
		}
	}
	return ls
}

func TestPodRankHasItsGoldenValues(t *testing.T) {
	twenty := make([]int64, 20)
	for i := range twenty {
		twenty[i] = int64(20 - i)
	}
	for _, test := range []struct {
		name  string
		loads []load
		want  [slopes]float64
	}{
		{"1 of 20 on top", loadsOf(1, twenty...), [slopes]float64{.454366, .822167, 1.349120, 1.927805, 2.432204}},
		{"2 of 4 both on top", loadsOf(2, 4, 3, 2, 1), [slopes]float64{.575411, .982862, 1.437091, 1.715263, 1.786897}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var past [slopes]nats
			assert.True(t, addBlock(&past, test.loads, 1, 0))
			for k, want := range test.want {
				assert.InDelta(t, want, past[k].float(), 1e-6)
			}
		})
	}
}
