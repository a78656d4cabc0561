package api_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ask puts one request to a server's handler.
func ask(s *api.Server, method, path, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "127.0.0.1:7460"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, do := range change {
		do(r)
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

func html(r *http.Request) { r.Header.Set("Accept", "text/html,application/xhtml+xml") }

func TestLooking(t *testing.T) {
	f := &fleet{}
	f.replace(stepping(), gated())
	none := &fleet{}
	tests := []struct {
		name   string
		server *api.Server
		path   string
		change func(*http.Request)
		code   int
		want   string
	}{
		{"the list has every inference route", serverOf(f), "/api/v1/routes", nil, 200, `"name":"langid"`},
		{"an empty list is a list", serverOf(none), "/api/v1/routes", nil, 200, "[]\n"},
		{"one has how far its step has come", serverOf(f), "/api/v1/routes/ml/filetype", nil, 200, `"progress":{"lasted":72000000000,"leastTime":120000000000,"requests":180,"leastRequests":300}`},
		{"one has its share wanted, acknowledged and observed", serverOf(f), "/api/v1/routes/ml/filetype", nil, 200, `"reach":{"wanted":2500,"acked":500,"observed":2462}`},
		{"one has the verbs that are of use now", serverOf(f), "/api/v1/routes/ml/filetype", nil, 200, `"verbs":["promote","hold","resume","abort","rollback"]`},
		{"a gate can be answered", serverOf(f), "/api/v1/routes/ml/langid", nil, 200, `"verbs":["approve","reject",`},
		{"an unknown one names those there are", serverOf(f), "/api/v1/routes/ml/filetypo", nil, 404, `ml/filetypo is not one of: ml/filetype, ml/langid`},
		{"an unknown one where there are none says so", serverOf(none), "/api/v1/routes/ml/a", nil, 404, `ml/a is not there, and neither is any other inference route`},
		{"decisions come oldest first", serverOf(f), "/api/v1/routes/ml/filetype/decisions?rollout=v3-3-1", nil, 200, `[{"seq":1,`},
		{"their end can be asked for", serverOf(f), "/api/v1/routes/ml/filetype/decisions?tail=1", nil, 200, `[{"seq":3,`},
		{"an end that is no count is refused", serverOf(f), "/api/v1/routes/ml/filetype/decisions?tail=0", nil, 400, `tail: is not a count from 1, found \"0\"`},
		{"a rollout without decisions has an empty list", serverOf(f), "/api/v1/routes/ml/filetype/decisions?rollout=v9", nil, 200, "[]\n"},
		{"decisions of an unknown inference route name those there are", serverOf(f), "/api/v1/routes/ml/x/decisions", nil, 404, "ml/x is not one of: ml/filetype"},
		{"decisions outlive their inference route", serverOf(none), "/api/v1/routes/ml/filetype/decisions", nil, 200, `[{"seq":1,`},
		{"a store that cannot be read is a failure", serverOf(f, failing), "/api/v1/routes/ml/filetype/decisions", nil, 500, "state.db: disk is full"},
		{"a review is JSON", serverOf(f), "/api/v1/routes/ml/filetype/review", nil, 200, `"rollout":"v3-3-1"`},
		{"a review is a page to a browser", serverOf(f), "/api/v1/routes/ml/filetype/review", html, 200, "<!doctype html>"},
		{"a rollout without a review is not found", serverOf(f), "/api/v1/routes/ml/filetype/review?rollout=v9-9", nil, 404, `"kind":"NoReview"`},
		{"a review of an unknown inference route names those there are", serverOf(f), "/api/v1/routes/ml/x/review", nil, 404, `"kind":"NoRoute"`},
		{"a review outlives its inference route", serverOf(none), "/api/v1/routes/ml/filetype/review", nil, 200, `"rollout":"v3-3-1"`},
		{"a review that cannot be read is a failure", serverOf(f, failing), "/api/v1/routes/ml/filetype/review", nil, 500, "state.db: disk is full"},
		{"proxies are listed", serverOf(f), "/api/v1/proxies", nil, 200, `["sluice-7f3a"]`},
		{"metrics are the handler's", serverOf(f), "/metrics", nil, 200, "sluice_up 1"},
		{"it is alive", serverOf(f), "/healthz", nil, 200, "ok\n"},
		{"it is ready", serverOf(f), "/readyz", nil, 200, "ok\n"},
		{"not ready says why, in plain text", serverOf(f, unready), "/readyz", nil, 503, "no configuration is in force\n"},
		{"nothing else is there", serverOf(f), "/etc/passwd", nil, 404, "404 page not found"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var change []func(*http.Request)
			if test.change != nil {
				change = append(change, test.change)
			}
			w := ask(test.server, http.MethodGet, test.path, "", change...)
			require.Equal(t, test.code, w.Code, w.Body)
			require.Contains(t, w.Body.String(), test.want)
			require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			require.Equal(t, "DENY", w.Header().Get("X-Frame-Options"))
		})
	}
}

func failing(c *api.Config) { c.Archive = shelf{err: errDisk} }

func unready(c *api.Config) {
	c.Ready = func() error { return errors.New("no configuration is in force") }
}

func TestASplitByHandOffersNoVerbs(t *testing.T) {
	s := stepping()
	s.State.Rollout, s.Route.Strategy.Canary = nil, nil
	f := &fleet{}
	f.replace(s)
	w := ask(serverOf(f), http.MethodGet, "/api/v1/routes/ml/filetype", "")
	var view api.View
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &view))
	require.Empty(t, view.Verbs)
	require.Nil(t, view.Reach)
	require.Equal(t, canary.Idle, view.State.Phase())
}

func TestOnlyThisHostMayAskAndOnlyJSONMayAct(t *testing.T) {
	f := &fleet{}
	f.replace(stepping())
	s := serverOf(f)
	host := func(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }
	kind := func(media string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Content-Type", media) }
	}
	const abort = "/api/v1/routes/ml/filetype/verbs/abort"
	tests := []struct {
		name         string
		method, path string
		body         string
		change       func(*http.Request)
		code         int
		want         string
	}{
		{"a name that resolves here is refused", "GET", "/api/v1/routes", "", host("evil.example:7460"), 403, `host \"evil.example:7460\": is not an address or localhost`},
		{"no name is refused", "GET", "/", "", host(""), 403, "is not an address"},
		{"a name that ends like ours is refused", "GET", "/", "", host("localhost.evil.example"), 403, "is not an address"},
		{"localhost is let in", "GET", "/healthz", "", host("localhost:7460"), 200, "ok"},
		{"an IPv6 address is let in", "GET", "/healthz", "", host("[::1]:7460"), 200, "ok"},
		{"an IPv6 address without a port is let in", "GET", "/healthz", "", host("[::1]"), 200, "ok"},
		{"a form is refused", "POST", abort, "actor=a&reason=b", kind("application/x-www-form-urlencoded"), 415, "content-type: is not application/json"},
		{"JSON sent as text is refused", "POST", abort, `{"actor":"a","reason":"b"}`, kind("text/plain"), 415, `found \"text/plain\"`},
		{"what only begins like JSON is refused", "POST", abort, `{"actor":"a","reason":"b"}`, kind("application/jsonp"), 415, "content-type"},
		{"lines of JSON are no verb", "POST", abort, `{"actor":"a","reason":"b"}`, kind("application/x-ndjson"), 415, "is not application/json, found"},
		{"no media type is refused", "POST", abort, "", kind(""), 415, "content-type"},
		{"JSON with a charset is taken", "POST", abort, `{"actor":"a","reason":"b"}`, kind("application/json; charset=utf-8"), 200, ""},
		{"verbs are not read", "GET", abort, "", host("127.0.0.1"), 405, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f.done = nil
			w := ask(s, test.method, test.path, test.body, test.change)
			require.Equal(t, test.code, w.Code, w.Body)
			require.Contains(t, w.Body.String(), test.want)
			require.Equal(t, test.code == 200 && test.method == "POST", len(f.done) == 1, "a verb is done if and only if it was let in")
		})
	}
}

func TestAServerNeedsItsParts(t *testing.T) {
	_, err := api.New(api.Config{})
	require.ErrorContains(t, err, "Controller, Archive, Outcomes, Proxies, Ready and Metrics must be given")
}
