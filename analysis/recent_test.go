package analysis

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhatIsOldIsForgotten(t *testing.T) {
	var r recent
	r.add(Buckets{{Index: 300, Count: 100}})
	for range int64(20 * memory / (10 * time.Second)) {
		r.decay(40)
	}
	assert.Empty(t, r)
}

func TestOnlyPairsAreALatencyHistogram(t *testing.T) {
	var r recent
	require.NoError(t, json.Unmarshal([]byte("[300,256,301,512]"), &r))
	assert.Equal(t, recent{{Index: 300, Count: 256}, {Index: 301, Count: 512}}, r)
	require.EqualError(t, json.Unmarshal([]byte("[300,256,301]"), &r), "latencies: want pairs of index and count, found 3 numbers")
}

func TestWarmingsForgetTheFirstPods(t *testing.T) {
	var ws warmings
	for i := range int64(warmingsKept + 10) {
		w := windowOf(i, "v2", 1, fmt.Sprintf("pod-%d:1", i), 1, 0)
		ws.add(&w)
	}
	assert.Len(t, ws, warmingsKept)
	_, found := ws.find("pod-9:1")
	assert.False(t, found)
	_, found = ws.find("pod-10:1")
	assert.True(t, found)
}
