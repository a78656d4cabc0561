package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// unadvised is a config about which there is nothing to say.
const unadvised = `
apiVersion: sluice.dev/v1alpha1
kind: InferenceRoute
metadata: {name: filetype}
spec:
  listener: {port: 8080}
  versions:
    - {name: v1, endpoints: ["127.0.0.1:8001", "127.0.0.1:8011"]}
    - {name: v2, endpoints: ["127.0.0.1:8002", "127.0.0.1:8012"]}
  target: v2
  initialStable: v1
  strategy: {canary: {steps: [{weight: 5%}, {approve: {}}, {weight: 50%}]}}
  mirroring: Allowed
`

const strictPolicy = `
---
apiVersion: sluice.dev/v1alpha1
kind: AnalysisPolicy
metadata: {name: strict}
spec:
  limits: {maxDuration: 1m, minStep: 10s}
  metrics: [{name: latency, versusStable: {rollbackIf: ">1.1x", promoteIf: "<1.3x"}}]
`

func parse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse(Document{Name: "test.yaml", Data: []byte(text)})
	require.NoError(t, err)
	return c
}

func TestAdvice(t *testing.T) {
	const route = "InferenceRoute default/filetype: "
	tests := []struct {
		name    string
		extra   string
		replace []string
		want    []string
	}{
		{"two pods of each version and mirroring need none", "", nil, nil},
		{"mirroring is forbidden", "", []string{"  mirroring: Allowed\n", ""}, []string{
			route + `spec.mirroring: keeps mirrored traffic from settling a trip, so the policy's trip.onTrip, Hold, decides each one, found "Forbidden"`,
		}},
		{"the candidate is one pod", "", []string{`, "127.0.0.1:8012"`, "", `"127.0.0.1:8011"]`, `"127.0.0.1:8011", "127.0.0.1:8021"]`}, []string{
			route + "spec.versions[1].endpoints: is one pod: a slow node cannot be told from a slow version",
			route + `spec.strategy.canary: promotes 1 pods to the work of 3: each would serve 3.0 times as much`,
		}},
		{"there are fewer than four pods", "", []string{`, "127.0.0.1:8011"`, ""}, []string{
			route + "spec.versions[1].endpoints: and those of version v1 are 3 pods together: below 4, latency is judged by the sign of whole blocks, which is slow",
		}},
		{
			"a step is too much for the candidate's pods", "",
			[]string{`, "127.0.0.1:8012"`, "", `"127.0.0.1:8011"]`, `"127.0.0.1:8011", "127.0.0.1:8021", "127.0.0.1:8031"]`},
			[]string{
				route + "spec.versions[1].endpoints: is one pod: a slow node cannot be told from a slow version",
				route + `spec.strategy.canary.steps[2].weight: gives each of the candidate's pods 2.0 times what a pod of stable serves without a rollout (1 pods for 4), found "50%": load would look like latency`,
			},
		},
		{"a step leaves nothing to compare with", "", []string{"{weight: 50%}", "{weight: 100%}"}, []string{
			route + `spec.strategy.canary.steps[2].weight: leaves stable no requests, so versusStable gathers no evidence in this step, found "100%"`,
		}},
		{"the steps outlast the rollout", "", []string{"{weight: 50%}", "{weight: 50%, for: 44m}"}, []string{
			route + "spec.strategy.canary.steps: last 45m at the least, and the policy's limits.maxDuration is 45m: no rollout could end in time",
		}},
		{"the pods cannot promote in time", strictPolicy, []string{"  mirroring", "  analysis: {policy: strict}\n  mirroring", "maxDuration: 1m", "maxDuration: 20s", "minStep: 10s", "minStep: 1s", "metrics:", "unit: {block: 10s}\n  metrics:"}, []string{
			route + "spec.versions[1].endpoints: and those of version v1 are 4 pods together: latency needs 20s at the best to promote, and the policy's limits.maxDuration is 20s",
		}},
		{"nobody names a policy", strictPolicy, nil, []string{
			"AnalysisPolicy default/strict: is named by no inference route of its namespace",
		}},
		{"two versions are the same model", "", []string{`]}`, `], model: {digest: "sha256:` + strings.Repeat("0", 64) + `"}}`, "50%}]}}", "50%}]}}"}, []string{
			route + `spec.versions[1].model.digest: is that of version v1 too, found "sha256:` + strings.Repeat("0", 64) + `": a rollout between them changes nothing`,
		}},
		{"a gRPC route matches another method", "", []string{"  mirroring", "  protocol: grpc\n  matches: [{method: GET}]\n  mirroring"}, []string{
			route + `spec.matches[0].method: matches nothing, found "GET": every gRPC request is a POST`,
		}},
		{"units stay, and requests are counted", "", []string{"  mirroring", "  stickiness: {header: x-user-id}\n  mirroring"}, []string{
			route + "spec.stickiness: makes units what is drawn, so each counts once: with its first failure against a version, and with its first " +
				"request for one; it takes as many units to promote as it would take requests, and latencies are not compared before " +
				"each arm has had those of 30 units",
		}},
		{"a gRPC route and a cookie", "", []string{
			"  target: v2\n  initialStable: v1\n", "", "{canary: {steps: [{weight: 5%}, {approve: {}}, {weight: 50%}]}}", "{split: {weights: {v1: 50%, v2: 50%}}}",
			"  mirroring: Allowed\n", "  protocol: grpc\n  stickiness: {cookie: {name: unit}}\n",
		}, []string{
			route + "spec.stickiness.cookie: is kept by few gRPC clients, and whoever keeps none is drawn by itself: name a header instead",
		}},
		{"units are client addresses", "", []string{
			"  target: v2\n  initialStable: v1\n", "", "{canary: {steps: [{weight: 5%}, {approve: {}}, {weight: 50%}]}}", "{split: {weights: {v1: 50%, v2: 50%}}}",
			"  mirroring: Allowed\n", "  stickiness: {clientAddress: {}}\n",
		}, []string{
			route + "spec.stickiness.clientAddress: is the same for all who come through one load balancer or NAT: where such stands before Envoy, few units send all the traffic",
		}},
		{"a version is no arm", "", []string{
			"  target: v2\n  initialStable: v1\n", "  stickiness: {header: x-user-id}\n", "{canary: {steps: [{weight: 5%}, {approve: {}}, {weight: 50%}]}}",
			"{abTest: {arms: {v1: 50%, v2: 50%}, reference: v1}}", "  mirroring: Allowed\n", "",
			"  versions:\n", "  versions:\n    - {name: v3, endpoints: [\"127.0.0.1:8003\"]}\n",
		}, []string{
			route + "spec.strategy.abTest.arms: gives version v3 nothing",
		}},
		{"a step is above the retry budget", "", []string{"  mirroring", "  protect: {retryOnStable: {}}\n  mirroring"}, []string{
			route + `spec.strategy.canary.steps[2].weight: is above spec.protect.retryOnStable.budget, 20%, found "50%": of this step on, only so much of the traffic is tried again on stable`,
		}},
		{"a version gets nothing", "", []string{
			"  target: v2\n  initialStable: v1\n", "", "{canary: {steps: [{weight: 5%}, {approve: {}}, {weight: 50%}]}}", "{split: {weights: {v1: 100%}}}", "  mirroring: Allowed\n", "",
		}, []string{
			route + "spec.strategy.split.weights: gives version v2 nothing",
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := parse(t, strings.NewReplacer(test.replace...).Replace(unadvised+test.extra))

			var got []string
			for _, advice := range Advise(c) {
				got = append(got, advice.Error())
			}

			require.Equal(t, test.want, got)
		})
	}
}
