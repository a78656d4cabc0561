package plane

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/api"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/e2e/stage"
)

const neighbour = `apiVersion: sluice.dev/v1alpha1
kind: InferenceRoute
metadata: {name: other, namespace: ml}
spec:
  hostnames: [other.ml]
  listener: {port: %d}
  versions:
    - {name: v1, endpoints: [%q]}
  strategy: {split: {weights: {v1: 100%%}}}
`

// occupied is a port that another program holds until it lets go.
func occupied(t *testing.T) (port uint32, release func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() }) // it may have been released
	return uint32(l.Addr().(*net.TCPAddr).Port), func() { require.NoError(t, l.Close()) }
}

// moveTo edits the port of the scene's inference route, and waits for the proxy's
// refusal.
func (s *scene) moveTo(port uint32) {
	s.t.Helper()
	s.edit(fmt.Sprintf("listener: {port: %d}", s.port), fmt.Sprintf("listener: {port: %d}", port))
	s.until("the proxy's words", func(controller.Snapshot) bool { return strings.Contains(s.explain(), "Address already in use") })
}

func refusedFor(text string) func(controller.Snapshot) bool {
	return func(now controller.Snapshot) bool {
		return now.State.Nack != nil && strings.Contains(now.State.Nack.Text, text)
	}
}

func confirmed(now controller.Snapshot) bool {
	return rolledBack(now) && !now.State.History[0].Confirmed.IsZero()
}

// taken says that nothing is refused any more.
func taken(now controller.Snapshot) bool { return now.State.Nack == nil }

// withoutCandidate requires that whoever asks from now on is answered, and not by v2.
func (s *scene) withoutCandidate() {
	s.t.Helper()
	before := len(s.record.Answers())
	s.waitAnswers(before + 20) // those that were under way
	before += 20
	s.waitAnswers(before + 100)
	for _, a := range s.record.Answers()[before:] {
		require.Equal(s.t, "200 v1", fmt.Sprintf("%d %s", a.Status, a.Version), "%+v", a)
	}
}

// One of two inference routes on a port is moved to another that is taken, while its
// candidate has a share. Its users stay where they are, an abort takes the share away
// there, and nobody is answered 404.
func TestAnAbortReachesUsersOfARouteThatCannotMove(t *testing.T) {
	t.Parallel()
	s := newScene(t, quick, oneStep)
	require.NoError(t, stage.Replace(filepath.Join(s.config.Routes, "other.yaml"), fmt.Appendf(nil, neighbour, s.port, s.v1[0].address())))
	require.Eventually(t, func() bool { return status(t, s.port, "other.ml") == "200 OK" }, patience, 20*time.Millisecond)
	s.load(100)
	s.write("v2")
	s.until("first step", stepping(0))
	busy, release := occupied(t)
	s.moveTo(busy)

	s.do("abort", api.Verb{})
	ended := s.until("confirmed", confirmed)
	s.withoutCandidate()
	require.Equal(t, ended.State.Published.Epoch, s.proxies()[0].Routes[0].Acked.Epoch)
	s.until("the text, still", refusedFor("Address already in use"))
	require.Equal(t, "200 OK", status(t, s.port, "other.ml"))
	s.stopLoad()
	require.Empty(t, s.record.Answers().Failed())

	release()
	s.until("it has moved by itself", taken)
	require.Equal(t, "200 OK", status(t, busy, "filetype.ml"))
	require.Equal(t, "200 OK", status(t, s.port, "other.ml"))
}

// A version that fails while its route cannot move is tripped where its users are.
func TestATripReachesUsersOfARouteThatCannotMove(t *testing.T) {
	t.Parallel()
	s := newScene(t, quick, oneStep)
	s.load(100)
	s.write("v2")
	s.until("first step", stepping(0))
	busy, _ := occupied(t)
	s.moveTo(busy)
	s.fail()
	s.until("without a share", func(now controller.Snapshot) bool {
		return (now.State.Phase() == canary.Tripped || rolledBack(now)) && now.State.Acked == now.State.Published.Epoch
	})
	s.withoutCandidate()

	// Mended, it is served as if it had never been edited.
	s.write("v2")
	s.until("taken back", taken)
	s.withoutCandidate()
	s.stopLoad()
}

// Whoever starts again finds an Envoy that listens where it did, and leaves its users there.
func TestARestartLeavesARouteThatCannotMoveWhereItWas(t *testing.T) {
	t.Parallel()
	s := newScene(t, quick, oneStep)
	s.load(100)
	s.write("v2")
	s.until("first step", stepping(0))
	busy, release := occupied(t)
	s.moveTo(busy)
	s.plane.Kill()
	s.start()
	s.until("the proxy's words, again", refusedFor("Address already in use"))
	s.do("abort", api.Verb{})
	s.until("confirmed", confirmed)
	s.withoutCandidate()
	s.stopLoad()
	require.Empty(t, s.record.Answers().Failed())
	release()
	s.until("it has moved by itself", taken)
	require.Equal(t, "200 OK", status(t, busy, "filetype.ml"))
}
