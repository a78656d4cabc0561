package fault

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sluice-dev/sluice/serving"
	"github.com/sluice-dev/sluice/serving/oippb"
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
			refuse(w, http.StatusInternalServerError, injected)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// Intercept is Handler for gRPC.
func (i *Injector) Intercept(ctx context.Context, r any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	switch method := path.Base(info.FullMethod); {
	case method == "ServerReady" && i.unready():
		return &oippb.ServerReadyResponse{}, nil
	case method == "ModelReady" && i.unready():
		return &oippb.ModelReadyResponse{}, nil
	case method == "ModelInfer" && i.fails():
		return nil, status.Error(codes.Internal, injected)
	}
	return next(ctx, r)
}

// injected is what a request is told that fails on purpose.
const injected = "error is injected on purpose"

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

func (s slow) Run(ctx context.Context, slot int, inputs []serving.Tensor) ([]serving.Tensor, error) {
	began := time.Now()
	outputs, err := s.Backend.Run(ctx, slot, inputs)
	plan := s.injector.plan
	if s.injector.active(max(s.injector.seen.Load(), 1)) {
		extra := max(plan.LatencyFactor-1, 0) * float64(time.Since(began))
		time.Sleep(time.Duration(extra) + plan.LatencyAdd)
	}
	return outputs, err
}

// Probe asks what is slowed; what cannot be asked is well.
func (s slow) Probe(ctx context.Context) error {
	if p, ok := s.Backend.(interface {
		Probe(ctx context.Context) error
	}); ok {
		return p.Probe(ctx)
	}
	return nil
}

// Close closes what is slowed.
func (s slow) Close() error {
	if c, ok := s.Backend.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
