package server

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/serving"
)

func TestHistogramsAreNativeAndClassic(t *testing.T) {
	m := newMetrics("m", "1")
	now := time.Now().Add(-time.Minute)
	c := &call{arrived: now, asked: asked{deadline: now.Add(time.Hour)}}
	j := &job{items: 3, rows: 4, padding: 0.25, ran: 1, computing: now.Add(time.Millisecond), spent: serving.Spent{Device: time.Millisecond}}
	m.ran(j)
	m.answered(c, j)
	m.left(now, outcome{})
	families, err := m.registry.Gather()
	require.NoError(t, err)
	found := map[string]bool{}
	for _, f := range families {
		for _, metric := range f.GetMetric() {
			if h := metric.GetHistogram(); h != nil {
				found[f.GetName()] = true
				assert.Equal(t, uint64(1), h.GetSampleCount(), f.GetName())
				assert.NotEmpty(t, h.GetBucket(), "%s: classic", f.GetName())
				assert.NotEmpty(t, append(h.GetPositiveSpan(), h.GetNegativeSpan()...), "%s: native", f.GetName())
				assert.Equal(t, "m", metric.GetLabel()[0].GetValue())
			}
		}
	}
	for _, name := range []string{
		"queue", "request", "device", "overhead", "deadline_slack", "prediction_error",
	} {
		assert.True(t, found["sluice_serving_"+name+"_seconds"], name)
	}
	assert.True(t, found["sluice_serving_batch_rows"])
	assert.True(t, found["sluice_serving_padding_ratio"])
}
