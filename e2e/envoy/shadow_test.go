package envoy

import (
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/config"
)

// A shadow costs live traffic nothing, whatever is wrong with it: no request fails,
// and the median, taken in turns in one run, is printed beside that without a shadow.
func TestAShadowCostsUsersNothing(t *testing.T) {
	s := NewStage(t)
	release := make(chan struct{})
	free := sync.OnceFunc(func() { close(release) })
	spec := twoVersions(t, s, filetype, "filetype.ml")
	route := &spec.Routes[0]
	route.Versions = []config.Version{
		{Name: "v1", Endpoints: []string{Server(t, thinks)}},
		{Name: "healthy", Endpoints: []string{Server(t, thinks)}},
		{Name: "dead", Endpoints: []string{deadAddress(t)}},
		{Name: "failing", Endpoints: []string{Server(t, cutOff)}},
		// More requests than its cap are under way at any time: the others are not sent.
		{Name: "hanging", Endpoints: []string{Server(t, func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		})}},
	}
	t.Cleanup(free) // before the servers close
	shadows := []string{"", "healthy", "dead", "failing", "hanging"}
	const rounds, requests = 5, 100
	took := map[string][]time.Duration{}
	epoch := uint64(0)
	for range rounds {
		for _, shadow := range shadows {
			epoch++
			route.Strategy = config.Strategy{Split: &config.FixedSplit{Weights: map[string]config.Percent{"v1": config.PerMillion}}}
			if shadow != "" {
				route.Strategy = config.Strategy{Shadow: &config.Shadow{Of: "v1", To: shadow, Percent: config.PerMillion}}
			}
			state := canary.State{Published: config.Split{Epoch: epoch}}
			s.Publish(spec, map[config.Key]config.Split{filetype: state.Split(route.RouteSpec)})
			s.Acked(filetype, epoch)
			for range requests {
				began := time.Now()
				resp, err := http.DefaultClient.Do(s.Request("filetype.ml", "/"))
				require.NoError(t, err, "shadow %q", shadow)
				body, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				require.NoError(t, resp.Body.Close())
				took[shadow] = append(took[shadow], time.Since(began))
				require.Equal(t, "200 OK v1", resp.Status+" "+string(body), "shadow %q", shadow)
			}
		}
	}
	without := median(took[""])
	for _, shadow := range shadows[1:] {
		t.Logf("shadow %s: p50 %v, %.2f times that without a shadow (%v)", shadow, median(took[shadow]),
			float64(median(took[shadow]))/float64(without), without)
	}
}

// thinks answers as v1 after as long as a small model takes.
func thinks(w http.ResponseWriter, _ *http.Request) {
	<-time.After(5 * time.Millisecond)
	_, _ = io.WriteString(w, "v1")
}

func median(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)/2]
}
