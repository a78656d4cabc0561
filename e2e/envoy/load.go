package envoy

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Load asks Envoy for one host without pause until it is stopped.
type Load struct {
	Answered atomic.Int64

	answer   chan struct{}
	stop     chan struct{}
	running  sync.WaitGroup
	mu       sync.Mutex
	failures []string
}

// StartLoad begins with so many clients, each on a connection of its own.
func (s *Stage) StartLoad(host string, clients int) *Load {
	l := &Load{answer: make(chan struct{}, 1), stop: make(chan struct{})}
	for range clients {
		client := &http.Client{Transport: &http.Transport{}}
		l.running.Go(func() {
			defer client.CloseIdleConnections()
			for {
				select {
				case <-l.stop:
					return
				default:
					l.one(client, fmt.Sprintf("http://127.0.0.1:%d/", s.Port), host)
				}
			}
		})
	}
	return l
}

func (l *Load) one(client *http.Client, url, host string) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		l.fail(err.Error())
		return
	}
	req.Host = host
	resp, err := client.Do(req)
	if err != nil {
		l.fail(err.Error())
		return
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close() // it was read
	if err != nil || resp.StatusCode != http.StatusOK {
		l.fail(fmt.Sprintf("%s: %s (%v)", resp.Status, body, err))
		return
	}
	l.Answered.Add(1)
	select {
	case l.answer <- struct{}{}:
	default:
	}
}

func (l *Load) fail(why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures = append(l.failures, why)
}

// Await waits until so many requests have been answered.
func (l *Load) Await(t testing.TB, answers int64) {
	t.Helper()
	timeout := time.After(patience)
	for l.Answered.Load() < answers {
		select {
		case <-l.answer:
		case <-timeout:
			t.Fatalf("%d of %d requests were answered within %v", l.Answered.Load(), answers, patience)
		}
	}
}

// Stop ends the load and gives what failed.
func (l *Load) Stop() []string {
	close(l.stop)
	l.running.Wait()
	return l.failures
}
