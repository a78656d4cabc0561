package canary_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
)

// everyEvent has one event of each kind.
func everyEvent() []canary.Event {
	at := time.Date(2026, 1, 1, 0, 0, 1, 500, time.UTC)
	by := canary.By{Actor: "alice", Reason: "because"}
	return []canary.Event{
		canary.Configured{At: at, Policy: testPolicy(), Loaded: true},
		canary.Withdrawn{At: at},
		canary.Judged{At: at, Assessment: analysis.Assessment{Verdict: analysis.Healthy, Requests: map[string]int64{"v2": 3}}},
		canary.Concluded{At: at, Test: "abtest-1", Winner: "v2", Reason: "0.3 of 900, 0.4 of 900"},
		canary.Suspected{At: at, Reason: "3 of 3 failed", LogE: 7.25, Needed: 6.5, N: 3},
		canary.Settled{At: at, Confirmed: true, Reason: "all of 30 failed"},
		canary.Acked{At: at, Epoch: 7, Proxies: 2, Stuck: []string{"envoy-3"}},
		canary.Nacked{At: at, Proxy: "envoy-1", Epoch: 7, Text: "no"},
		canary.Observed{At: at, Epoch: 7, Proxy: "envoy-1"},
		canary.Disconnected{At: at, Proxy: "envoy-1", Remaining: 1},
		canary.Blinded{At: at, Reason: "gap"},
		canary.Resized{At: at, Version: "v2", Ready: 1, Total: 2, Fact: "refused"},
		canary.Approved{At: at, By: by, Hash: "abc"},
		canary.Rejected{At: at, By: by},
		canary.Promoted{At: at, By: by, Full: true, OverrideEvidence: true, Force: true},
		canary.Held{At: at, By: by},
		canary.Resumed{At: at, By: by},
		canary.Aborted{At: at, By: by},
		canary.Reverted{At: at, By: by, Force: true},
		canary.Retried{At: at, By: by},
		canary.SaveFailed{At: at, Text: "disk is full"},
		canary.Tick{At: at},
	}
}

func TestEveryEventSurvivesJSON(t *testing.T) {
	seen := map[canary.Kind]bool{}
	for _, ev := range everyEvent() {
		seen[ev.Kind()] = true
		var back canary.Input
		require.NoError(t, json.Unmarshal([]byte(marshal(t, canary.Input{Event: ev})), &back), "%s", ev.Kind())
		require.Equal(t, ev, back.Event)
	}
	for _, k := range canary.Kinds() {
		require.True(t, seen[k], "%s", k)
	}
}

func TestAnInputOfNoKnownKindIsNamed(t *testing.T) {
	var in canary.Input
	require.ErrorContains(t, json.Unmarshal([]byte(`{"kind":"Wished","event":{}}`), &in), `kind "Wished" is not known`)
	require.ErrorContains(t, json.Unmarshal([]byte(`{"kind":"Tick","event":{"at":3}}`), &in), "event Tick")
}

func FuzzInput(f *testing.F) {
	for _, ev := range everyEvent() {
		f.Add([]byte(marshal(f, canary.Input{Event: ev})))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var in canary.Input
		if json.Unmarshal(data, &in) != nil || in.Event == nil {
			return
		}
		text, err := json.Marshal(in)
		if err != nil {
			return // a year that JSON cannot write
		}
		var back canary.Input
		require.NoError(t, json.Unmarshal(text, &back))
		require.JSONEq(t, string(text), marshal(t, back))
	})
}
