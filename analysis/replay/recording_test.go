package replay_test

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis/replay"
	"github.com/sluice-dev/sluice/config"
)

// arm is how one version answers.
type arm struct {
	pods   int
	errors float64
	median float64 // ms
}

// recording is a seeded one of two arms.
type recording struct {
	seed              uint64
	rps, share        float64
	lasts             float64 // seconds
	from              float64 // the clock's first
	onset             float64 // seconds after which the candidate is as broken
	stable, candidate arm
	broken            arm
}

type row struct {
	end  float64
	text string
}

// String writes the recording in the order in which requests end.
func (r recording) String() string {
	rng := rand.New(rand.NewPCG(r.seed, 5))
	var rows []row
	for t := 0.0; ; {
		t += rng.ExpFloat64() / r.rps
		if t > r.lasts {
			break
		}
		version, a := "v1", r.stable
		if rng.Float64() < r.share {
			version, a = "v2", r.candidate
			if r.onset > 0 && t > r.onset {
				a = r.broken
			}
		}
		status, ms := 200, a.median*math.Exp(0.4*rng.NormFloat64())
		if rng.Float64() < a.errors {
			status, ms = 503, 2
		}
		rows = append(rows, row{t + ms/1000, fmt.Sprintf(`{"t": %.6f, "version": %q, "pod": "%s-%d:80", "epoch": 3, "status": %d, "latency_ms": %.3f}`,
			r.from+t, version, version, rng.IntN(max(1, a.pods)), status, ms)})
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.end, b.end) })
	var text strings.Builder
	for _, row := range rows {
		text.WriteString(row.text + "\n")
	}
	return text.String()
}

func healthy(seed uint64) recording {
	a := arm{pods: 4, errors: 0.001, median: 40}
	return recording{seed: seed, rps: 200, share: 0.1, lasts: 120, stable: a, candidate: a}
}

func run(t *testing.T, text string) replay.Result {
	t.Helper()
	result, err := replay.Run(strings.NewReader(text), replay.Config{Policy: config.Standard(), Stable: "v1", Candidate: "v2"})
	require.NoError(t, err)
	return result
}

// endless gives the same lines again and again, later each time.
type endless struct {
	lines int64 // to go
	done  int64
	rest  bytes.Buffer
}

func (e *endless) Read(p []byte) (int, error) {
	for e.rest.Len() < len(p) && e.lines > 0 {
		e.lines--
		e.done++
		version := "v1"
		if e.done%10 == 0 {
			version = "v2"
		}
		fmt.Fprintf(&e.rest, `{"t":%.4f,"version":"%s","pod":"%s-%d","epoch":1,"status":200,"latency_ms":%d}`+"\n",
			float64(e.done)/2000, version, version, e.done%7, 20+e.done%13)
	}
	return e.rest.Read(p)
}

var _ = time.Second
