package replay_test

import (
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

// queued records one version's six pods, each a queue of its own that is busy for a part
// of the time; the first is slower.
func queued(seed uint64, busy, slower float64, lasts time.Duration) string {
	rng := rand.New(rand.NewPCG(seed, 9))
	const pods, perPod = 6, 10
	median := busy / perPod * math.Exp(-0.125)
	free := make([]float64, pods)
	var rows []row
	for t := 0.0; t < lasts.Seconds(); t += rng.ExpFloat64() / float64(perPod*pods) {
		pod := rng.IntN(pods)
		took := median * math.Exp(0.5*rng.NormFloat64())
		if pod == 0 {
			took *= slower
		}
		free[pod] = max(free[pod], t) + took
		rows = append(rows, row{free[pod], fmt.Sprintf(`{"t": %.4f, "version": "v1", "pod": "p%d:80", "status": 200, "latency_ms": %.3f}`, t, pod, (free[pod]-t)*1000)})
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.end, b.end) })
	var text strings.Builder
	for _, row := range rows {
		text.WriteString(row.text + "\n")
	}
	return text.String()
}

func checked(t *testing.T, text string) replay.Checked {
	t.Helper()
	p := config.Standard()
	p.Limits.MaxDuration = config.Duration(10 * time.Minute)
	got, err := replay.Check(strings.NewReader(text), replay.CheckConfig{Policy: p, Version: "v1"})
	require.NoError(t, err)
	return got
}

func TestEqualPodsAreHardlyEverRolledBack(t *testing.T) {
	got := checked(t, queued(1, 0.3, 1, 20*time.Minute))
	require.Equal(t, 6, got.Pods)
	require.Equal(t, 12, got.Rollouts, "each pod, in each of two rounds")
	require.Zero(t, got.RolledBack, got.Examples)
	require.LessOrEqual(t, got.Block.D(), 10*time.Second)
	require.NotZero(t, got.Block)
}

func TestAPodOnASlowNodeIsNamed(t *testing.T) {
	got := checked(t, queued(2, 0.3, 1.6, 10*time.Minute))
	require.Equal(t, 1, got.RolledBack)
	require.Equal(t, "p0:80", got.Examples[0].Pod)
	require.Contains(t, got.Examples[0].Metric, "latency")
	require.Contains(t, strings.Join(got.Notes, " "), "more often than promised")
}

func TestBusierPodsNeedLongerBlocks(t *testing.T) {
	idle, busy := checked(t, queued(3, 0.3, 1, 20*time.Minute)), checked(t, queued(3, 0.9, 1, 20*time.Minute))
	require.Greater(t, busy.Blocks[0].Correlation, idle.Blocks[0].Correlation+0.1)
	require.Greater(t, busy.Block.D(), idle.Block.D())
	require.Less(t, busy.Blocks[3].Correlation, busy.Blocks[0].Correlation, "longer blocks forget more")
}

func TestWhatARecordingIsTooShortOrTooWideForIsNoted(t *testing.T) {
	var text strings.Builder
	for i := range 12_000 {
		fmt.Fprintf(&text, `{"t": %.2f, "version": "v1", "pod": "p%d:80", "status": 200, "latency_ms": %d}`+"\n", float64(i)/100, i%30, 5+i%7)
	}
	got := checked(t, text.String())
	require.Equal(t, 30, got.Pods)
	require.Equal(t, 20, got.Judged)
	require.Equal(t, 2*time.Minute, got.Lasted.D())
	notes := strings.Join(got.Notes, "\n")
	require.Contains(t, notes, "20 of 30 pods took the candidate's part, at most 20 in a round")
	require.Contains(t, notes, "a pretended rollout lasted 2m, and one in earnest may last 10m")
	require.Contains(t, notes, "up to 5 times as many")
}

func TestALateLineIsLateForEveryPod(t *testing.T) {
	lines := strings.SplitAfter(queued(4, 0.3, 1, 2*time.Minute), "\n")
	late := `{"t": 1, "version": "v1", "pod": "p0:80", "status": 500, "latency_ms": 5}` + "\n"
	with := strings.Join(lines[:3000], "") + late + strings.Join(lines[3000:], "")
	check := func(text string) (replay.Checked, []error) {
		var heard []error
		got, err := replay.Check(strings.NewReader(text), replay.CheckConfig{
			Policy: config.Standard(), Version: "v1", Bad: func(err error) { heard = append(heard, err) },
		})
		require.NoError(t, err)
		return got, heard
	}
	without, _ := check(strings.Join(lines, ""))
	got, heard := check(with)
	require.Len(t, heard, 1)
	require.ErrorContains(t, heard[0], "recording:3001: ends ")
	require.Contains(t, got.Notes[0], "were passed over")
	got.Lines, got.Skipped, got.Notes = without.Lines, 0, without.Notes
	require.Equal(t, without, got)
}

func TestAVersionThatIsNotThereIsNamed(t *testing.T) {
	got, err := replay.Check(strings.NewReader(queued(5, 0.3, 1, time.Second)), replay.CheckConfig{Policy: config.Standard(), Version: "v7"})
	require.NoError(t, err)
	require.Contains(t, got.Notes[0], "no line is of version v7; there are lines of v1")
}

func TestPodsWithoutNamesCannotBeChecked(t *testing.T) {
	got := checked(t, `{"t": 1, "version": "v1", "status": 200, "latency_ms": 5}`)
	require.Zero(t, got.Rollouts)
	require.InDelta(t, 1, got.FalseRollback.High, 0)
	require.Contains(t, got.Notes[0], "need the pod")
	_, err := replay.Check(strings.NewReader("{}"), replay.CheckConfig{Policy: config.Standard(), Version: "v1"})
	require.ErrorContains(t, err, "recording:1: t: is missing")
	_, err = replay.Check(strings.NewReader(""), replay.CheckConfig{Policy: config.Standard()})
	require.ErrorContains(t, err, "version: is missing")
}
