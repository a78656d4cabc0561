package envoy

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// admin speaks to Envoy's admin interface.
type admin struct{ client *http.Client }

func newAdmin(socket string) admin {
	return admin{&http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true, // the Envoy behind the socket may be another one next time
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}}
}

func (a admin) call(ctx context.Context, method, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://admin"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("envoy admin %s: %s: %s", path, resp.Status, strings.TrimSpace(string(body)))
	}
	return body, nil
}

// ready says whether Envoy has its first configuration and serves.
func (a admin) ready(ctx context.Context) error {
	_, err := a.call(ctx, http.MethodGet, "/ready")
	return err
}

// drain asks Envoy's clients to go elsewhere; after the drain time it takes no
// more connections.
func (a admin) drain(ctx context.Context) error {
	_, err := a.call(ctx, http.MethodPost, "/drain_listeners?graceful")
	return err
}

// traffic is what an Envoy's listeners have to do with clients.
type traffic struct {
	accepted    int64 // connections, ever
	connections int64 // open
	requests    int64 // under way
}

func (a admin) traffic(ctx context.Context) (traffic, error) {
	filter := url.QueryEscape(`^http\.sluice-.*\.downstream_(cx_total|cx_active|rq_active)$`)
	page, err := a.call(ctx, http.MethodGet, "/stats?format=json&filter="+filter)
	if err != nil {
		return traffic{}, err
	}
	return parseTraffic(page)
}

// parseTraffic adds up the listeners of a stats page.
func parseTraffic(page []byte) (traffic, error) {
	var stats struct {
		Stats []struct {
			Name  string `json:"name"`
			Value int64  `json:"value"`
		} `json:"stats"`
	}
	if err := json.Unmarshal(page, &stats); err != nil {
		return traffic{}, fmt.Errorf("envoy admin /stats: %w", err)
	}
	var t traffic
	for _, s := range stats.Stats {
		switch {
		case strings.HasSuffix(s.Name, ".downstream_cx_total"):
			t.accepted += s.Value
		case strings.HasSuffix(s.Name, ".downstream_cx_active"):
			t.connections += s.Value
		case strings.HasSuffix(s.Name, ".downstream_rq_active"):
			t.requests += s.Value
		}
	}
	return t, nil
}

// calm notices that clients have stopped coming.
type calm struct {
	last   traffic
	streak int
}

// calmAfter is how many looks in a row must find no client.
const calmAfter = 10

// after says whether, with the newest look, nobody is there and nobody has come
// for a while. A look that failed finds an Envoy that is gone.
func (c *calm) after(t traffic, err error) bool {
	if err != nil {
		return true
	}
	c.streak++
	if t.connections > 0 || t.accepted != c.last.accepted {
		c.streak = 0
	}
	c.last = t
	return c.streak >= calmAfter
}

// afterRequests says whether nobody is left, or those who are have asked nothing
// for a while.
func (c *calm) afterRequests(t traffic, err error) bool {
	if err != nil || t.connections == 0 {
		return true
	}
	c.streak++
	if t.requests > 0 {
		c.streak = 0
	}
	return c.streak >= calmAfter
}
