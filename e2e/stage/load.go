package stage

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/sluice-dev/sluice/xds/name"
)

// Answer is what one request of a Load got.
type Answer struct {
	Scheduled time.Time     // when it was due; latency counts from here
	Latency   time.Duration // to the last byte
	Status    int           // 0: no answer
	Version   string        // that served it; empty where no stamp came back
	Epoch     uint64
	Err       error
}

// Failed says whether a user would call it broken.
func (a Answer) Failed() bool { return a.Err != nil || a.Status >= 500 }

// Load is open-loop Poisson traffic: requests start when they are due, whatever
// became of those before.
type Load struct {
	URL    string            // POSTed to
	Host   string            // the Host header
	Header map[string]string // more headers
	Rate   float64           // requests per second
	Seed   uint64
	// Bodies are sent in turn, in a random order.
	Bodies [][]byte
	// Heard is called once for each answer, from many goroutines.
	Heard func(Answer)
	// InFlight bounds outstanding requests; one more is counted as failed with
	// ErrOverrun. Default 1,000.
	InFlight int
}

// ErrOverrun says that the generator had too many requests outstanding.
var ErrOverrun = fmt.Errorf("load: too many requests outstanding")

// Run sends until ctx ends, then waits for what is outstanding.
func (l Load) Run(ctx context.Context) error {
	if l.Rate <= 0 || len(l.Bodies) == 0 || l.Heard == nil {
		return fmt.Errorf("load on %s: needs a rate, bodies and a listener", l.URL)
	}
	limit := l.InFlight
	if limit == 0 {
		limit = 1000
	}
	client := &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			Proxy:               nil,
			MaxIdleConnsPerHost: 64,
			DialContext:         (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
		},
	}
	defer client.CloseIdleConnections()

	random := rand.New(rand.NewPCG(l.Seed, 2))
	slots := make(chan struct{}, limit)
	var outstanding sync.WaitGroup
	defer outstanding.Wait()
	due := time.Now()
	for {
		due = due.Add(time.Duration(random.ExpFloat64() / l.Rate * float64(time.Second)))
		timer := time.NewTimer(time.Until(due))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		body := l.Bodies[random.IntN(len(l.Bodies))]
		select {
		case slots <- struct{}{}:
		default:
			l.Heard(Answer{Scheduled: due, Err: ErrOverrun})
			continue
		}
		outstanding.Go(func() {
			defer func() { <-slots }()
			l.Heard(l.send(client, due, body))
		})
	}
}

// send makes one request. It outlives the load's context, so that ending the
// load looks to nobody like a client that left.
func (l Load) send(client *http.Client, due time.Time, body []byte) Answer {
	a := Answer{Scheduled: due}
	request, err := http.NewRequest(http.MethodPost, l.URL, bytes.NewReader(body))
	if err != nil {
		a.Err = err
		return a
	}
	request.Host = l.Host
	request.Header.Set("Content-Type", "application/json")
	for k, v := range l.Header {
		request.Header.Set(k, v)
	}
	response, err := client.Do(request)
	if err != nil {
		a.Err, a.Latency = err, time.Since(due)
		return a
	}
	_, a.Err = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close() // read to its end
	a.Latency = time.Since(due)
	a.Status = response.StatusCode
	if version, epoch, err := name.ParseArm(response.Header.Get(name.HeaderServed)); err == nil {
		a.Version, a.Epoch = version, epoch
	}
	return a
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
