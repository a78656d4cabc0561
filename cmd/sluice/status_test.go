package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/api"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/canary/review"
	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/e2e/await"
)

// play is a controller that shows one snapshot after the other, and the last for
// ever.
type play struct {
	mu    sync.Mutex
	acts  []controller.Snapshot
	shown chan struct{} // closed at the first look; nil if nobody waits for it
}

func (p *play) Snapshots() []controller.Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.acts[:1]
}

func (p *play) Snapshot(k config.Key) (controller.Snapshot, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.acts[0]
	if len(p.acts) > 1 {
		p.acts = p.acts[1:]
	}
	if p.shown != nil {
		close(p.shown)
		p.shown = nil
	}
	return now, now.State.Route == k
}

func (p *play) Do(context.Context, config.Key, canary.Event) (canary.Decision, error) {
	return canary.Decision{}, errors.New("play: takes no verbs")
}

// Tell refuses what was called a mistake.
func (p *play) Tell(_ context.Context, _ config.Key, reports []analysis.ABReport) (r controller.Receipt, err error) {
	r.Test = "abtest-1"
	for i, report := range reports {
		if report.Outcome == "mistake" {
			r.Refused, r.Malformed = append(r.Refused, controller.Refusal{Index: i, Error: "outcome: is a mistake"}), r.Malformed+1
			r.Refused = r.Refused[:min(2, len(r.Refused))] // of many, the first
			continue
		}
		r.Taken++
	}
	return r, nil
}

type noArchive struct{}

func (noArchive) Decisions(config.Key, string) ([]canary.Decision, error) { return nil, nil }

func (noArchive) Review(config.Key, string) (review.Review, error) {
	return review.Review{}, review.ErrNone
}

// perform serves a play's API.
func perform(t *testing.T, p *play) *httptest.Server {
	t.Helper()
	s, err := api.New(api.Config{
		Controller: p, Archive: noArchive{}, Outcomes: p, Proxies: func() any { return nil },
		Ready: func() error { return nil }, Metrics: http.NotFoundHandler(),
	})
	require.NoError(t, err)
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	return server
}

func act(change func(*canary.State)) controller.Snapshot {
	s := controller.Snapshot{State: canary.State{Route: config.Key{Namespace: "ml", Name: "filetype"}, Stable: "v1"}}
	change(&s.State)
	s.Conditions = canary.Conditions(s.State, analysis.Assessment{}, s.At)
	return s
}

func running() controller.Snapshot {
	return act(func(s *canary.State) {
		s.Rollout = &canary.Rollout{ID: "v2-1", Stable: "v1", Candidate: "v2", Phase: canary.Waiting, Steps: []config.Step{{}}}
	})
}

// gated waits for an approval.
func gated() controller.Snapshot {
	s := running()
	r := s.State.Rollout
	r.Phase, r.Gate = canary.Approving, &canary.Gate{Number: 1, Hash: "3fa9c1d2e4b5"}
	s.State.Proxies = 1
	s.State.Published = config.Split{Epoch: 4, Shares: config.Carve("v1", "v2", 500, 1000)}
	s.Waits = s.State.Waits(analysis.Assessment{}, s.At)
	s.Conditions = canary.Conditions(s.State, analysis.Assessment{}, s.At)
	return s
}

func over(o canary.Outcome) controller.Snapshot {
	return act(func(s *canary.State) {
		s.Asked = canary.Try{Target: "v2"}
		s.History = []canary.Finished{{
			Rollout: canary.Rollout{ID: "v2-1", Stable: "v1", Candidate: "v2", Try: s.Asked},
			Outcome: o, Cause: canary.CauseEvidence, Reason: "as it was", Confirmed: time.Unix(1, 0),
		}}
	})
}

// sluice runs one command line.
func sluice(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = execute(t.Context(), args, strings.NewReader(""), &out, &err)
	return code, out.String(), err.String()
}

func TestStatusExitCodes(t *testing.T) {
	tests := []struct {
		name   string
		acts   []controller.Snapshot
		args   []string
		code   int
		stdout string
		stderr string
	}{
		{"a running rollout is well", []controller.Snapshot{running()}, nil, 0, "v2 is tried against v1: step 1 of 1\n", ""},
		{"a promoted one is well", []controller.Snapshot{over(canary.OutcomePromoted)}, nil, 0, "v2 was promoted", ""},
		{"a target that was rolled back is not", []controller.Snapshot{over(canary.OutcomeRolledBack)}, nil, 3, "v2 was rolled back (Evidence): as it was", ""},
		{"nor is it as JSON", []controller.Snapshot{over(canary.OutcomeRolledBack)}, []string{"-o", "json"}, 3, `"outcome": "rolledBack"`, ""},
		{"a watch ends well when promoted", []controller.Snapshot{running(), over(canary.OutcomePromoted)}, []string{"-w"}, 0, "outcome=promoted", ""},
		{"a watch ends ill when rolled back", []controller.Snapshot{running(), over(canary.OutcomeRolledBack)}, []string{"-w"}, 3, "outcome=rolledBack", ""},
		{"a watch ends ill when superseded", []controller.Snapshot{running(), over(canary.OutcomeSuperseded)}, []string{"-w"}, 3, "outcome=superseded", ""},
		{"a watch as YAML prints the end alone", []controller.Snapshot{running(), over(canary.OutcomePromoted)}, []string{"-w", "-o", "yaml"}, 0, "at: \"0001-01-01T00:00:00Z\"\nconditions:", ""},
		{"a watch gives up with its time", []controller.Snapshot{running()}, []string{"-w", "--timeout", "300ms"}, 4, "phase=Waiting", "sluice: no end within 300ms: ml/filetype: v2 is tried against v1: step 1 of 1\n"},
		{"a gate is waited for", []controller.Snapshot{gated()}, nil, 0, "Progressing False   ApprovalNeeded", ""},
		{
			"a watch gives up at a gate that nobody answers",
			[]controller.Snapshot{gated()},
			[]string{"-w", "--timeout", "300ms"},
			4, "waits=ApprovalNeeded",
			"sluice: no end within 300ms: ml/filetype: v2 is tried against v1: step 1 of 1; " +
				"waits for ApprovalNeeded: review 1 (3fa9c1d2e4b5) waits for approval since 00:00:00Z\n",
		},
		{"a time without a watch is no use", []controller.Snapshot{running()}, []string{"--timeout", "1s"}, 2, "", "sluice: --timeout: needs --watch\n"},
		{"a negative time is none", []controller.Snapshot{running()}, []string{"-w", "--timeout", "-1s"}, 2, "", "sluice: --timeout: is negative, found -1s\n"},
		{"an unknown output is refused before anything is watched", []controller.Snapshot{running()}, []string{"-w", "-o", "xml"}, 2, "", "sluice: --output: is not one of json, yaml, found \"xml\"\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := perform(t, &play{acts: test.acts})
			code, stdout, stderr := sluice(t, append([]string{"status", "ml/filetype", "--server", server.URL}, test.args...)...)
			require.Equal(t, test.code, code, stderr)
			require.Contains(t, stdout, test.stdout)
			require.Equal(t, test.stderr, stderr)
			require.NotContains(t, stdout, "\x1b", "no escape without a terminal")
		})
	}
	t.Run("an unknown inference route fails", func(t *testing.T) {
		server := perform(t, &play{acts: []controller.Snapshot{running()}})
		code, _, stderr := sluice(t, "status", "ml/x", "--server", server.URL)
		require.Equal(t, 1, code)
		require.Contains(t, stderr, "there is no such inference route: ml/x")
	})
	t.Run("without a control plane there is nothing to watch", func(t *testing.T) {
		code, _, stderr := sluice(t, "status", "ml/x", "-w", "--state", t.TempDir())
		require.Equal(t, 1, code)
		require.Contains(t, stderr, "no 'sluice run' uses this state folder")
	})
}

func TestAWatchFindsTheControlPlaneAgainAtItsNewAddress(t *testing.T) {
	state := t.TempDir()
	serves := func(s *httptest.Server) error {
		data, err := json.Marshal(runFile{API: s.URL})
		return errors.Join(err, os.WriteFile(filepath.Join(state, runFileName), data, 0o600))
	}
	shown, moved := make(chan struct{}), make(chan error, 1)
	before := perform(t, &play{acts: []controller.Snapshot{running()}, shown: shown})
	after := perform(t, &play{acts: []controller.Snapshot{over(canary.OutcomePromoted)}})
	require.NoError(t, serves(before))
	go func() {
		<-shown
		before.Close()
		moved <- serves(after)
	}()
	code, stdout, stderr := sluice(t, "status", "ml/filetype", "-w", "--state", state)
	require.Equal(t, 0, code, stderr)
	require.Contains(t, stdout, "phase=Waiting")
	require.Contains(t, stdout, "outcome=promoted")
	require.NoError(t, await.Next(t, moved, "the move"))
}
