// Package prometheus holds analysis/prom against a real Prometheus server, which
// scrapes what the tests serve: numbers, and all that is none. `make test-prometheus`
// builds the server and runs this. Start reading in TestEachKindOfAnswer.
package prometheus

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/analysis/prom"
	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/e2e/await"
)

// begun is when the tests began: what was exported 30 s before is old.
var begun = time.Now()

// exporter serves metrics of two versions, whose counters grow with every scrape.
func exporter(t *testing.T) string {
	t.Helper()
	var scrapes atomic.Int64
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := scrapes.Add(1)
		fmt.Fprintf(w, "answers_total{version=\"v1\"} %d\nanswers_total{version=\"v2\"} %d\n", 100*n, 100*n)
		fmt.Fprintf(w, "empty_answers_total{version=\"v1\"} 0\nempty_answers_total{version=\"v2\"} %d\n", 50*n)
		fmt.Fprintf(w, "tokens 12.5\nbusy{pod=\"a\"} 1\nbusy{pod=\"b\"} 1\nnothing_total 0\n")
		fmt.Fprintf(w, "old 7 %d\n", begun.Add(-30*time.Second).UnixMilli())
	}))
	t.Cleanup(web.Close)
	return web.URL
}

// listening is where a server says that it listens.
var listening = regexp.MustCompile(`msg="Listening on" .*address=(\S+)`)

// serve starts a Prometheus that scrapes an address every second, and waits for a number.
func serve(t *testing.T, scraped string) string {
	t.Helper()
	binary := os.Getenv("PROMETHEUS_BIN")
	require.NotEmpty(t, binary, "PROMETHEUS_BIN: run `make test-prometheus`")
	folder := t.TempDir()
	file := filepath.Join(folder, "prometheus.yml")
	text := fmt.Sprintf("global: {scrape_interval: 1s}\nscrape_configs: [{job_name: tests, static_configs: [{targets: [%q]}]}]\n",
		strings.TrimPrefix(scraped, "http://"))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	cmd := exec.Command(binary, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(folder, "data"), "--web.listen-address=127.0.0.1:0")
	logs, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, cmd.Wait())
	})
	lines := bufio.NewScanner(logs)
	for lines.Scan() {
		if found := listening.FindStringSubmatch(lines.Text()); found != nil {
			go func() { _, _ = io.Copy(io.Discard, logs) }() // until it ends
			return "http://" + found[1]
		}
		t.Log(lines.Text())
	}
	require.Fail(t, "the server ended before it listened")
	return ""
}

func ask(t *testing.T, server, query string, stale time.Duration) analysis.Reading {
	t.Helper()
	return prom.Client{}.Read(t.Context(), prom.Question{Server: server, Query: query, At: time.Now(), Stale: stale})
}

func TestEachKindOfAnswer(t *testing.T) {
	server := serve(t, exporter(t))
	require.Eventually(t, func() bool { return ask(t, server, "tokens", time.Minute).Outcome == analysis.Read }, 30*time.Second, 100*time.Millisecond)
	for _, test := range []struct {
		query string
		stale time.Duration
		want  analysis.Reading
		text  string
	}{
		{"tokens", time.Minute, analysis.Reading{Outcome: analysis.Read, Value: 12.5}, ""},
		{"scalar(tokens) * 2", time.Minute, analysis.Reading{Outcome: analysis.Read, Value: 25}, ""},
		{"nothing_total / nothing_total", time.Minute, analysis.Reading{Outcome: analysis.NotANumber}, ""},
		{"tokens / 0", time.Minute, analysis.Reading{Outcome: analysis.NotANumber}, ""},
		{"absent_metric", time.Minute, analysis.Reading{Outcome: analysis.Empty}, ""},
		{"old", 2 * time.Minute, analysis.Reading{Outcome: analysis.Read, Value: 7}, ""},
		{"old", 10 * time.Second, analysis.Reading{Outcome: analysis.Stale}, ""},
		{"busy", time.Minute, analysis.Reading{Outcome: analysis.Unread}, "2 series match: sum or average them"},
		{"tokens[1m]", time.Minute, analysis.Reading{Outcome: analysis.Unread}, "the query gives a matrix, not one number"},
		{"sum(", time.Minute, analysis.Reading{Outcome: analysis.Unread}, "status 400: invalid parameter \"query\""},
	} {
		got := ask(t, server, test.query, test.stale)
		assert.Contains(t, got.Text, test.text, test.query)
		got.Text = ""
		assert.Equal(t, test.want, got, "%s within %s", test.query, test.stale)
	}
}

// bench hands one rollout to the poller and takes what was measured.
type bench struct {
	subject  prom.Subject
	measured chan analysis.Measurement
}

func (b *bench) Subjects() []prom.Subject { return []prom.Subject{b.subject} }

func (b *bench) Measured(_ prom.Subject, m analysis.Measurement) { b.measured <- m }

// Half of the candidate's answers are empty, and none of stable's.
func TestCountersOfAServerRollAVersionBack(t *testing.T) {
	policy := config.Standard()
	policy.Metrics = append(policy.Metrics, config.Metric{
		Name: "empty-answers", Weight: 1, BurstCap: 3,
		Prometheus: &config.Prometheus{
			URL: serve(t, exporter(t)), Bad: `sum(empty_answers_total{version="$version"})`, Total: `sum(answers_total{version="$version"})`,
			Interval: config.Duration(time.Second), Stale: config.Duration(time.Minute),
		},
		VersusStable: &config.VersusStable{RollbackIf: 1.5, PromoteIf: config.Below{Ratio: 2}},
	})
	arms := analysis.Arms{Route: config.Key{Namespace: "ml", Name: "chat"}, Stable: "v1", Candidate: "v2"}
	b := &bench{subject: prom.Subject{Arms: arms, Rollout: "r1", Epoch: 1, Metrics: policy.Metrics}, measured: make(chan analysis.Measurement, 100)}
	poller, err := prom.New(prom.Config{Rollouts: b})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- poller.Run(ctx) }()
	evidence := analysis.NewEvidence(policy, arms)
	for range 60 {
		evidence = evidence.Measure(policy, await.Next(t, b.measured, "a measurement"))
		if a := analysis.Judge(policy, evidence, time.Now()); a.Verdict == analysis.Harmful {
			assert.Equal(t, "empty-answers", a.Why.Metric)
			cancel()
			require.ErrorIs(t, await.Next(t, ended, "the end of the poller"), context.Canceled)
			return
		}
	}
	require.Fail(t, "not found within 60 readings")
}
