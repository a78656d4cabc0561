package main

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

// How long a request takes: lognormal, and as many at once as come.
const (
	serviceMedian = 40 * time.Millisecond
	serviceSigma  = 0.3
)

// version is a stand-in for one version of a model: its pods, and what is wrong
// with them.
type version struct {
	errors float64 // share of requests that fail, when nothing is wrong
	fault  fault

	mu     sync.Mutex
	random *rand.Rand
	began  time.Time // first request; zero before
}

func newVersion(errors float64, f fault, seed uint64) *version {
	return &version{errors: errors, fault: f, random: rand.New(rand.NewPCG(seed, 3))}
}

// next draws what becomes of one request.
func (v *version) next(now time.Time) (takes time.Duration, fails bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.began.IsZero() {
		v.began = now
	}
	share, factor := v.errors, 1.0
	if now.Sub(v.began) >= v.fault.After {
		share, factor = max(share, v.fault.Errors), max(factor, v.fault.Slower)
	}
	takes = time.Duration(factor * float64(serviceMedian) * math.Exp(serviceSigma*v.random.NormFloat64()))
	return takes, v.random.Float64() < share
}

// ServeHTTP answers as a model server would.
func (v *version) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	takes, fails := v.next(time.Now())
	timer := time.NewTimer(takes)
	defer timer.Stop()
	select {
	case <-r.Context().Done():
		return
	case <-timer.C:
	}
	if fails {
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// pods serves a version on so many ports of its own until stop is called.
func (v *version) pods(ctx context.Context, n int) (endpoints []string, stop func() error, err error) {
	var servers []*http.Server
	stop = func() error {
		var errs []error
		for _, s := range servers {
			errs = append(errs, s.Close())
		}
		return errors.Join(errs...)
	}
	for range n {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, nil, errors.Join(err, stop())
		}
		s := &http.Server{Handler: v, ReadHeaderTimeout: time.Minute}
		servers = append(servers, s)
		endpoints = append(endpoints, listener.Addr().String())
		go func() { _ = s.Serve(listener) }() // ends with Close
	}
	return endpoints, stop, nil
}
