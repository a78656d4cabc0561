package fault

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sluice-dev/sluice/serving"
	"github.com/sluice-dev/sluice/serving/server"
)

// Injector carries a Plan out.
type Injector struct {
	plan  Plan
	seed  uint64
	began time.Time
	crash func()
	seen  atomic.Int64 // inference requests
}

// New starts the plan's clock. The seed decides which requests fail; crash ends
// the process.
func New(p Plan, seed uint64, crash func()) *Injector {
	return &Injector{plan: p, seed: seed, began: time.Now(), crash: crash}
}

// Fails says whether the n-th request is one of the share that fails.
func Fails(seed, n uint64, share float64) bool {
	return rand.New(rand.NewPCG(seed, n)).Float64() < share
}

// active says whether errors and latency have begun.
func (i *Injector) active(requests int64) bool {
	return requests > i.plan.AfterRequests && time.Since(i.began) >= i.plan.After
}

// Handler injects errors, crashes and lost readiness.
func (i *Injector) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/ready") && i.unready():
			refuse(w, http.StatusServiceUnavailable, "readiness is taken away on purpose")
		case strings.HasSuffix(r.URL.Path, "/infer") && i.fails():
			refuse(w, http.StatusInternalServerError, "error is injected on purpose")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "{\"error\":%q}\n", text) // the client left: nobody to tell
}

func (i *Injector) unready() bool {
	return i.plan.UnreadyAfter > 0 && time.Since(i.began) >= i.plan.UnreadyAfter
}

// fails counts an inference request and decides on it.
func (i *Injector) fails() bool {
	n := i.seen.Add(1)
	if i.plan.CrashAfterRequests > 0 && n > i.plan.CrashAfterRequests {
		i.crash()
	}
	return i.plan.ErrorRate > 0 && i.active(n) && Fails(i.seed, uint64(n), i.plan.ErrorRate)
}

// Backend makes runs slower: it sleeps behind each, so no processor is used,
// but the device counts as taken.
func (i *Injector) Backend(next server.Backend) server.Backend { return slow{next, i} }

type slow struct {
	server.Backend
	injector *Injector
}

func (s slow) Run(inputs []serving.Tensor) ([]serving.Tensor, error) {
	began := time.Now()
	outputs, err := s.Backend.Run(inputs)
	plan := s.injector.plan
	if s.injector.active(max(s.injector.seen.Load(), 1)) {
		extra := max(plan.LatencyFactor-1, 0) * float64(time.Since(began))
		time.Sleep(time.Duration(extra) + plan.LatencyAdd)
	}
	return outputs, err
}
