package config

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

func TestWhatIsWrittenAsYAMLParsesToTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyConfig().Draw(t, "config")

		data, err := want.YAML()
		require.NoError(t, err)
		got, err := Parse(Document{Name: "written.yaml", Data: data})

		require.NoError(t, err, "%s", data)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("written (-) and parsed (+) differ:\n%s\n%s", diff, data)
		}
	})
}

func TestWhatIsWrittenAsJSONParsesToTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyConfig().Draw(t, "config")
		var docs []Document
		for _, r := range want.Routes {
			data, err := json.MarshalIndent(r, "", "\t")
			require.NoError(t, err)
			docs = append(docs, Document{Name: r.Name, Data: data})
		}
		for _, p := range want.Policies {
			data, err := json.Marshal(p)
			require.NoError(t, err)
			docs = append(docs, Document{Name: p.Name, Data: data})
		}

		got, err := Parse(docs...)

		require.NoError(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("written (-) and parsed (+) differ:\n%s", diff)
		}
	})
}

func TestTheTypesReadTheirOwnJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyConfig().Draw(t, "config")
		data, err := json.Marshal(want)
		require.NoError(t, err)

		var got Config
		require.NoError(t, json.Unmarshal(data, &got))

		if diff := cmp.Diff(want, &got); diff != "" {
			t.Errorf("written (-) and read (+) differ:\n%s", diff)
		}
	})
}

// A rollout keeps its policy as plain JSON of the spec.
func TestASpecAloneReadsItsOwnJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy, route := anyPolicy().Draw(t, "policy"), anyRoute().Draw(t, "route")
		policyData, err := json.Marshal(policy)
		require.NoError(t, err)
		routeData, err := json.Marshal(route)
		require.NoError(t, err)

		var gotPolicy PolicySpec
		require.NoError(t, json.Unmarshal(policyData, &gotPolicy))
		var gotRoute RouteSpec
		require.NoError(t, json.Unmarshal(routeData, &gotRoute))

		require.Empty(t, cmp.Diff(policy, gotPolicy))
		require.Empty(t, cmp.Diff(route, gotRoute))
	})
}

func TestWhatIsValidInGoIsNotChangedByDefaults(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyConfig().Draw(t, "config")

		require.NoError(t, Validate(want))
	})
}

func TestAnInferenceRouteIsWrittenAsAPersonWouldWriteIt(t *testing.T) {
	c := parse(t, unadvised)

	got, err := yaml.Marshal(c.Routes[0])

	require.NoError(t, err)
	require.Equal(t, `apiVersion: sluice.dev/v1alpha1
kind: InferenceRoute
metadata:
    name: filetype
    namespace: default
spec:
    listener:
        port: 8080
        address: 127.0.0.1
    protocol: http
    timeouts:
        request: 30s
    versions:
        - name: v1
          endpoints:
            - 127.0.0.1:8001
            - 127.0.0.1:8011
        - name: v2
          endpoints:
            - 127.0.0.1:8002
            - 127.0.0.1:8012
    target: v2
    initialStable: v1
    strategy:
        canary:
            steps:
                - weight: 5%
                - approve: {}
                - weight: 50%
    mirroring: Allowed
    analysis:
        policy: standard
`, string(got))
}

func TestOneObjectOfAnotherKindIsNotRead(t *testing.T) {
	policy := `{"apiVersion": "sluice.dev/v1alpha1", "kind": "AnalysisPolicy", "metadata": {"name": "a"}, "spec": {"metrics": []}}`

	require.EqualError(t, json.Unmarshal([]byte(policy), &InferenceRoute{}), "is not one InferenceRoute")
	require.EqualError(t, json.Unmarshal([]byte(`{"kind": "InferenceRoute", "spec": {"a": 1}}`), &AnalysisPolicy{}), "is not one AnalysisPolicy")
	require.ErrorContains(t, json.Unmarshal([]byte(`{"kind": "Pod"}`), &AnalysisPolicy{}), `kind: is not InferenceRoute or AnalysisPolicy, found "Pod"`)
}
