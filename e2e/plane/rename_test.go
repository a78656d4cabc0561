package plane

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/e2e/stage"
)

// An inference route is renamed while its candidate has a share: what runs under the old
// name ends and has its review, and the new name has its place without an error.
func TestARouteThatIsRenamedLeavesTheReviewOfWhatRan(t *testing.T) {
	t.Parallel()
	s := newScene(t, quick, oneStep)
	s.load(100)
	s.write("v2")
	s.until("the candidate is asked", func(now controller.Snapshot) bool {
		return len(now.Traces) > 0 && now.Traces[0].Candidate.Requests > 5
	})
	file := filepath.Join(s.config.Routes, "routes.yaml")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, stage.Replace(file, bytes.Replace(text, []byte("name: filetype,"), []byte("name: files,"), 1)))

	renamed := config.Key{Namespace: key.Namespace, Name: "files"}
	s.awaits(renamed, "takes its place", func(now controller.Snapshot) bool {
		return now.State.Phase() == canary.Stepping && now.State.Acked == now.State.Published.Epoch
	})
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		review, err := s.client().Review(s.context(), key, "")
		require.NoError(c, err)
		require.Equal(c, canary.OutcomeCancelled, review.Decision.Outcome)
		require.Equal(c, canary.CauseWithdrawn, review.Decision.Cause)
		require.Greater(c, review.Exposure[1].Requests, int64(5))
	}, patience, 20*time.Millisecond)
	require.NotContains(t, s.plane.Tail(), "already matched")
	s.stopLoad()
	for _, answer := range s.record.Answers() {
		require.Equal(t, http.StatusOK, answer.Status, "served throughout")
	}
}
