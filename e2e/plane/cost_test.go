package plane

import (
	"flag"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/e2e/parts"
	"github.com/sluice-dev/sluice/e2e/stage"
)

// The full figure is `make bench-shadow`.
var shadowRounds = flag.Int("shadow.rounds", 2, "rounds of requests beside each kind of shadow")

const (
	roundRequests = 20
	pace          = 8 * time.Millisecond // from one request to the next
	modelTime     = 2 * time.Millisecond
)

// Whatever becomes of a shadow whose answers are read, no user notices: it is sent a tenth
// or all, is read or not, and is well, dead, cuts connections, or hangs until its cap is full. The requests of all take turns, and
// how long half of them take is printed beside that of hardly any shadow.
func TestNoShadowCostsUsersAnything(t *testing.T) {
	t.Parallel() // it mostly waits
	whole := "{shadow: {of: v1, to: v2, percent: 100%}}"
	release := make(chan struct{})
	well := func() string {
		return answering(t, func(w http.ResponseWriter, _ *http.Request) {
			<-time.After(modelTime)
			_, _ = w.Write([]byte(`{"label": "cat"}`)) // who left needs none
		})
	}
	hanging := answering(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	t.Cleanup(func() { close(release) }) // before that server closes
	cutting := answering(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	port, err := stage.FreePort()
	require.NoError(t, err)
	all := []subject{
		{Name: "none", Policy: "labels", Strategy: "{shadow: {of: v1, to: v2, percent: 0.01%}}", V1: well(), V2: well()},
		{Name: "tenth", Policy: "labels", Strategy: "{shadow: {of: v1, to: v2, percent: 10%}}", V1: well(), V2: well()},
		{Name: "unread", Policy: "twice", Strategy: whole, V1: well(), V2: well()},
		{Name: "well", Policy: "labels", Strategy: whole, V1: well(), V2: well()},
		{Name: "dead", Policy: "labels", Strategy: whole, V1: well(), V2: fmt.Sprintf("127.0.0.1:%d", port)},
		{Name: "cutting", Policy: "labels", Strategy: whole, V1: well(), V2: cutting},
		{Name: "hanging", Policy: "labels", Strategy: whole, V1: well(), V2: hanging, Clients: 1},
	}
	s := newStudio(t, all, parts.Envoy(t))
	for _, of := range all {
		s.awaits(of.key(), "serves", func(now controller.Snapshot) bool { return now.State.Acked > 0 })
	}
	took := make([][]time.Duration, len(all))
	next := time.NewTicker(pace)
	defer next.Stop()
	for range *shadowRounds {
		for i, of := range all {
			for range roundRequests {
				<-next.C
				began := time.Now()
				require.NoError(t, s.ask(t.Context(), of.Name), of.Name)
				took[i] = append(took[i], time.Since(began))
			}
		}
	}
	for i, of := range all {
		slices.Sort(took[i])
		half := took[i][len(took[i])/2]
		t.Logf("%8s: half of %d requests within %v, %.2f times that of hardly any shadow", of.Name, len(took[i]), half,
			half.Seconds()/took[0][len(took[0])/2].Seconds())
	}
	hung := all[len(all)-1]
	s.sendTo(&hung) // until it is
	got := s.awaits(hung.key(), "is over its cap", func(now controller.Snapshot) bool {
		return now.Assessment != nil && now.Assessment.Answers.Left[analysis.LeftUnsent] > 0
	}).Assessment
	t.Logf("hanging: %s", got.Answers.Reason)
	if wrong := hung.wrong.Load(); wrong != nil {
		require.NoError(t, *wrong)
	}
}
