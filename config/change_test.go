package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const beforeTheEdit = `
apiVersion: sluice.dev/v1alpha1
kind: InferenceRoute
metadata: {name: filetype, namespace: ml}
spec:
  listener: {port: 8080}
  versions:
    - {name: v1, endpoints: ["127.0.0.1:8001", "127.0.0.1:8011"], model: {name: magika, version: "1"}}
    - {name: v2, endpoints: ["127.0.0.1:8002"]}
    - {name: v3, endpoints: ["127.0.0.1:8003"]}
  target: v2
  initialStable: v1
  strategy: {canary: {steps: [{weight: 5%}]}}
`

func parse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse(Document{Name: "test.yaml", Data: []byte(text)})
	require.NoError(t, err)
	return c
}

func TestAnEditOfVersionsInUse(t *testing.T) {
	const route = "InferenceRoute ml/filetype: "
	tests := []struct {
		name    string
		replace []string
		inUse   []string
		want    string // empty: allowed
	}{
		{"nothing changed", nil, []string{"v1", "v2"}, ""},
		{"a new target is what rollouts are for", []string{"target: v2", "target: v3"}, []string{"v1", "v2"}, ""},
		{"a version nobody uses may go", []string{"    - {name: v3, endpoints: [\"127.0.0.1:8003\"]}\n", ""}, []string{"v1", "v2"}, ""},
		{"a version nobody uses may change", []string{"127.0.0.1:8003", "127.0.0.1:9003"}, []string{"v1", "v2"}, ""},
		{"a pod may come", []string{`"127.0.0.1:8002"`, `"127.0.0.1:8002", "127.0.0.1:8012"`}, []string{"v2"}, ""},
		{"a pod may go", []string{`, "127.0.0.1:8011"`, ""}, []string{"v1"}, ""},
		{
			"the last pod of a version may not be another one",
			[]string{"127.0.0.1:8002", "127.0.0.1:9002"},
			[]string{"v1", "v2"},
			route + "spec.versions[1].endpoints: has none of the endpoints that version v2 had, 127.0.0.1:8002, found 127.0.0.1:9002: " + immutable,
		},
		{
			"a version in use may not go",
			[]string{"    - {name: v3, endpoints: [\"127.0.0.1:8003\"]}\n", ""},
			[]string{"v3"},
			route + "spec.versions: have lost version v3, which is stable or in a rollout",
		},
		{
			"its model may not change",
			[]string{`version: "1"`, `version: "2", digest: "sha256:` + strings.Repeat("0", 64) + `"`},
			[]string{"v1"},
			route + `spec.versions[0].model.version: is not what it was before the edit, found "2": that was "1"; ` + immutable + "\n" +
				route + `spec.versions[0].model.digest: is not what it was before the edit, found "sha256:` + strings.Repeat("0", 64) +
				`": that was ""; ` + immutable,
		},
		{
			"its model may not be dropped",
			[]string{`, model: {name: magika, version: "1"}`, ""},
			[]string{"v1"},
			route + `spec.versions[0].model.name: is not what it was before the edit, found "": that was "magika"; ` + immutable + "\n" +
				route + `spec.versions[0].model.version: is not what it was before the edit, found "": that was "1"; ` + immutable,
		},
		{
			"one of its pods may not become another version's",
			[]string{`, "127.0.0.1:8011"`, "", `"127.0.0.1:8002"`, `"127.0.0.1:8002", "127.0.0.1:8011"`},
			[]string{"v1"},
			route + `spec.versions[1].endpoints[1]: belonged to version v1 before the edit, found "127.0.0.1:8011": ` + immutable,
		},
		{"the whole inference route may go", []string{"name: filetype", "name: other"}, []string{"v1", "v2"}, ""},
		{"a name in use that was never written is not the edit's fault", nil, []string{"v0"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			old := parse(t, beforeTheEdit)
			changed := parse(t, strings.NewReplacer(test.replace...).Replace(beforeTheEdit))

			err := ValidateChange(old, changed, func(k Key) []string {
				require.Equal(t, Key{Namespace: "ml", Name: "filetype"}, k)
				return test.inUse
			})

			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, test.want)
		})
	}
}
