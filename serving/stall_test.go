package serving_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/serving"
)

// TestAStallIsForgotten lets a device stand still, or be slow for a while, at half
// its load. Who comes when it is well again is served.
func TestAStallIsForgotten(t *testing.T) {
	const most, second = 32, time.Second
	usual := affine(3*ms, 300*time.Microsecond)
	limit := most / usual(most).Seconds()
	tests := []struct {
		name  string
		until time.Duration // from 3 s on
		took  func(now time.Duration, rows int) time.Duration
	}{
		{"it stood still once", 3*second + 500*ms, func(now time.Duration, rows int) time.Duration {
			if now < 3*second+20*ms {
				return 300 * ms
			}
			return usual(rows)
		}},
		{"it was three times slower for two seconds", 5*second + 500*ms, func(now time.Duration, rows int) time.Duration {
			if now < 5*second {
				return 3 * usual(rows)
			}
			return usual(rows)
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := machine{before: 100 * time.Microsecond, device: usual, devices: 1}
			b := m.know(t, serving.Config{MaxBatch: most, Capacity: 256, Slots: 2})
			arrivals := poisson(0.5*limit, 8, 100*ms)
			m.mood = func(now time.Duration, rows int) time.Duration {
				if now < 3*second {
					return usual(rows)
				}
				return test.took(now, rows)
			}
			s := simulate(b, m, arrivals)
			during := 0
			for _, a := range arrivals {
				end, ran := s.ends[a.request.ID]
				good := ran && !end.After(a.request.Deadline)
				switch {
				case a.at+100*ms < 3*second || a.at > test.until:
					require.True(t, good, "request at %v: %v", a.at, s.outcome[a.request.ID])
				case !good:
					during++
				}
			}
			assert.NotZero(t, during, "it was felt")
			t.Logf("%d of %d were lost", during, len(arrivals))
		})
	}
}
