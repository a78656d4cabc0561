package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/canary/review"
	"github.com/sluice-dev/sluice/config"
)

// Client talks to the API of a running control plane.
type Client struct {
	base string
	http *http.Client
}

// Errors that callers tell apart.
var (
	ErrNoRoute = errors.New("there is no such inference route")
	ErrRefused = errors.New("refused")
	// ErrAway says that no control plane listens where one is looked for.
	ErrAway = errors.New("no control plane is running")
)

// NewClient makes a client of the API at base, as "http://127.0.0.1:7460". It
// waits at most 10 s for an answer.
func NewClient(base string) *Client {
	return &Client{
		base: strings.TrimRight(base, "/") + "/api/v1",
		http: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment}},
	}
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// List gives every inference route, sorted by key.
func (c *Client) List(ctx context.Context) ([]controller.Snapshot, error) {
	return get[[]controller.Snapshot](ctx, c, "/routes")
}

// Get gives one inference route. An unknown one is ErrNoRoute.
func (c *Client) Get(ctx context.Context, k config.Key) (controller.Snapshot, error) {
	return get[controller.Snapshot](ctx, c, route(k))
}

// Decisions gives the log of a rollout; empty means all of the route's.
func (c *Client) Decisions(ctx context.Context, k config.Key, rollout string) ([]canary.Decision, error) {
	return get[[]canary.Decision](ctx, c, route(k)+"/decisions?rollout="+url.QueryEscape(rollout))
}

// Review gives the review of a rollout; empty means the newest. Where there is
// none it is review.ErrNone.
func (c *Client) Review(ctx context.Context, k config.Key, rollout string) (review.Review, error) {
	return get[review.Review](ctx, c, route(k)+"/review?rollout="+url.QueryEscape(rollout))
}

// Proxies gives what is known of every proxy, as the server's JSON.
func (c *Client) Proxies(ctx context.Context) (json.RawMessage, error) {
	return get[json.RawMessage](ctx, c, "/proxies")
}

// Do performs a verb and says what was decided. A refusal is ErrRefused.
func (c *Client) Do(ctx context.Context, k config.Key, name string, v Verb) (Answer, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return Answer{}, err
	}
	var a Answer
	err = c.do(ctx, http.MethodPost, route(k)+"/verbs/"+url.PathEscape(name), bytes.NewReader(body), &a)
	return a, err
}

// get reads one thing.
func get[T any](ctx context.Context, c *Client, path string) (answer T, err error) {
	err = c.do(ctx, http.MethodGet, path, nil, &answer)
	return answer, err
}

// route is the path of an inference route, whatever is in its name.
func route(k config.Key) string {
	return "/routes/" + url.PathEscape(k.Namespace) + "/" + url.PathEscape(k.Name)
}

func (c *Client) do(ctx context.Context, method, path string, body io.Reader, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(request)
	if err != nil {
		return away(request.URL, err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("control plane: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return problemOf(response.Status, data)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("control plane: %s %s: %w", method, path, err)
	}
	return nil
}

// away tells a control plane that is not there from one that does not answer.
func away(at *url.URL, err error) error {
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return fmt.Errorf("%w at %s://%s (%w)", ErrAway, at.Scheme, at.Host, dial.Err)
	}
	return fmt.Errorf("control plane: %w", err)
}

// problemOf reads the server's error.
func problemOf(status string, data []byte) error {
	var p problem
	if err := json.Unmarshal(data, &p); err != nil || p.Error == "" {
		return fmt.Errorf("control plane: answered %s", status)
	}
	switch p.Kind {
	case kindNoRoute:
		return fmt.Errorf("%w: %s", ErrNoRoute, p.Error)
	case kindNoReview:
		return fmt.Errorf("%w: %s", review.ErrNone, strings.TrimPrefix(p.Error, review.ErrNone.Error()+": "))
	case kindRefused:
		return fmt.Errorf("%w: %s", ErrRefused, p.Error)
	}
	return errors.New(p.Error)
}
