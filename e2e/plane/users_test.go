package plane

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// crowd sends requests of ever new users, every third of them one user's.
func (s *scene) crowd(often string) {
	ctx, stop := context.WithCancel(context.Background())
	var clients sync.WaitGroup
	s.t.Cleanup(func() { stop(); clients.Wait() })
	for client := range 4 {
		clients.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				name := fmt.Sprintf("user-%d-%d", client, i)
				if i%3 == 0 {
					name = often
				}
				_, _ = s.as(ctx, name) // what fails is the control plane's to notice
			}
		})
	}
}

// A third of all requests are one user's, whom the split keeps with the candidate, and
// all of them fail, whoever answers.
func TestAUserWhoseEveryRequestFailsEndsNoRollout(t *testing.T) {
	t.Parallel()
	s := newScene(t, `{minStep: 2s, minRequestsPerStep: 40}`, "  stickiness: {header: x-user-id}\n  strategy: {canary: {steps: [{weight: 50%}]}}")
	s.write("v2")
	s.until("the step", stepping(0))
	awful := ""
	for i := 0; awful == ""; i++ {
		name := fmt.Sprintf("awful-%d", i)
		got, err := s.as(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, "503 Service Unavailable", got.status)
		if got.version == "v2" {
			awful = name
		}
		require.Less(t, i, 100, "no user is the candidate's")
	}
	s.crowd(awful)
	ended := s.until("promotion", promoted).State.History[0]
	require.Empty(t, ended.Trips)
	got, err := s.as(t.Context(), awful)
	require.NoError(t, err)
	require.Equal(t, "v2", got.version)
}
