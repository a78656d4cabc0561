package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

const tenMistakes = `apiVersion: sluice.dev/v1beta1
kind: InferenceRoute
metadata: {name: File_Type}
spec:
  hostnames: [filetype.ml:8080]
  listener: {port: 0}
  protocoll: http
  timeouts: {request: 0s}
  versions:
    - name: v1
      endpoints: ["127.0.0.1:8001"]
    - name: v2
      endpoints: ["127.0.0.1:8001"]
  target: v3
  initialStable: v1
  strategy:
    canary:
      steps:
        - {weight: 5x}
        - {weight: 50%}
        - {weight: 25%}
`

func TestTenMistakesGiveTenMessages(t *testing.T) {
	c, err := Parse(Document{Name: "routes.yaml", Data: []byte(tenMistakes)})

	require.Nil(t, c)
	require.Equal(t, []string{
		`routes.yaml:1: apiVersion: is not sluice.dev/v1alpha1, found "sluice.dev/v1beta1"`,
		`routes.yaml:3: metadata.name: is not a DNS label, found "File_Type": 1 to 63 of a-z, 0-9 and -, with a letter or digit at both ends`,
		`routes.yaml:5: spec.hostnames[0]: holds a port, found "filetype.ml:8080": a hostname has none, spec.listener.port does`,
		`routes.yaml:6: spec.listener.port: is not from 1 to 65535, found 0`,
		`routes.yaml:7: spec.protocoll: is not a known field (did you mean "protocol"?)`,
		`routes.yaml:8: spec.timeouts.request: is not above 0s, found "0s"`,
		`routes.yaml:13: spec.versions[1].endpoints[0]: is an endpoint of another version too, spec.versions[0].endpoints[0], ` +
			`found "127.0.0.1:8001": what one pod does could not be told apart by version`,
		`routes.yaml:14: spec.target: names no version, found "v3": there are v1, v2`,
		`routes.yaml:19: spec.strategy.canary.steps[0].weight: is not a percentage from 0% to 100% with at most four decimals, found "5x"`,
		`routes.yaml:21: spec.strategy.canary.steps[2].weight: does not grow, found "25%": the weight before it is 50%`,
	}, strings.Split(err.Error(), "\n"))
}

func TestMistakesOfAllDocumentsComeSortedAndCanBeTakenApart(t *testing.T) {
	bad := []byte(strings.ReplaceAll(tenMistakes, "File_Type", "same"))

	_, err := Parse(Document{Name: "z.yaml", Data: bad}, Document{Name: "a.yaml", Data: bad})

	var mistakes Mistakes
	require.ErrorAs(t, err, &mistakes)
	require.Len(t, mistakes, 19)
	require.Equal(t, "a.yaml", mistakes[0].Document)
	require.Equal(t, "z.yaml", mistakes[18].Document)
	require.Contains(t, err.Error(), `a.yaml:3: metadata.name: names a second InferenceRoute, found "default/same": the first is at z.yaml:3`)

	var first Mistake
	require.ErrorAs(t, err, &first)
	require.Equal(t, Mistake{
		Document: "a.yaml", Line: 1, Path: "apiVersion", Fact: "is not sluice.dev/v1alpha1", Found: `"sluice.dev/v1beta1"`,
	}, first)
	require.ErrorIs(t, err, first)
}

func TestParseSortsByKeyAndFillsInTheDefaults(t *testing.T) {
	c, err := Parse(
		Document{Name: "b.json", Data: []byte(`{
	"apiVersion": "sluice.dev/v1alpha1", "kind": "InferenceRoute",
	"metadata": {"name": "b", "annotations": {"note": "\ud83d\ude00 \/ \u00e9"}},
	"spec": {
		"listener": {"port": 8081},
		"matches": [{"path": {"value": "/v2"}, "headers": [{"name": "x-a", "value": "1"}]}],
		"versions": [{"name": "only", "endpoints": ["127.0.0.1:8001"], "health": {"path": "/ready"}}],
		"strategy": {"canary": {"steps": [{"weight": "5%"}]}}
	}
}`)},
		Document{Name: "a.yaml", Data: []byte("# one\n---\n---\n" + unadvised + "...\n---\n# none\n")},
	)

	require.NoError(t, err)
	want := &Config{Routes: []InferenceRoute{
		{
			Key:      Key{Namespace: "default", Name: "b"},
			Metadata: Metadata{Annotations: map[string]string{"note": "😀 / é"}},
			RouteSpec: RouteSpec{
				Listener: Listener{Port: 8081, Address: "127.0.0.1"},
				Protocol: ProtocolHTTP,
				Matches: []Match{{
					Path:    &PathMatch{Type: PathPrefix, Value: "/v2"},
					Headers: []HeaderMatch{{Name: "x-a", Type: HeaderExact, Value: "1"}},
				}},
				Timeouts: Timeouts{Request: Duration(30 * time.Second)},
				Versions: []Version{{
					Name: "only", Endpoints: []string{"127.0.0.1:8001"},
					Health: &Health{Path: "/ready", Interval: Duration(time.Second)},
				}},
				Target:        "only",
				InitialStable: "only",
				Strategy:      Strategy{Canary: &Canary{Steps: []Step{{Weight: 50000}}}},
				Mirroring:     MirroringForbidden,
				Analysis:      Analysis{Policy: DefaultPolicy},
			},
		},
		parse(t, unadvised).Routes[0],
	}}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("want (-) and got (+) differ:\n%s", diff)
	}
}

func TestADocumentThatIsNoYAMLSpoilsOnlyItself(t *testing.T) {
	_, err := Parse(Document{Name: "a.yaml", Data: []byte("kind: [\n---\nkind: Pod\n...\nkind: Job\n")})

	require.EqualError(t, err, "a.yaml:1: is not YAML: did not find expected node content\n"+
		"a.yaml:3: kind: is not InferenceRoute or AnalysisPolicy, found \"Pod\"\n"+
		"a.yaml:4: is not YAML: did not find expected <document start>")
}

func TestNoDocumentIsAnEmptyConfig(t *testing.T) {
	c, err := Parse()

	require.NoError(t, err)
	require.Equal(t, &Config{}, c)
}

func TestAliasesOfAliasesEnd(t *testing.T) {
	var b strings.Builder
	b.WriteString("kind: AnalysisPolicy\nspec:\n  metrics:\n    - &m {name: latency, quantiles: &q [" + strings.Repeat("p50,", 999) + "p50]}\n")
	b.WriteString(strings.Repeat("    - *m\n", 1000))

	_, err := Parse(Document{Name: "bomb.yaml", Data: []byte(b.String())})

	require.ErrorContains(t, err, "is more than 100000 values, aliases counted as often as they are used")
}

func TestAConfigFindsWhatItHolds(t *testing.T) {
	c := parse(t, unadvised+strictPolicy)

	_, ok := c.Route(Key{Namespace: "default", Name: "filetype"})
	require.True(t, ok)
	_, ok = c.Route(Key{Namespace: "ml", Name: "filetype"})
	require.False(t, ok)
	standard, ok := c.Policy(Key{Namespace: "anywhere", Name: DefaultPolicy})
	require.True(t, ok)
	require.Equal(t, Standard(), standard)
	strict, ok := c.Policy(Key{Namespace: "default", Name: "strict"})
	require.True(t, ok)
	require.Equal(t, Duration(time.Minute), strict.Limits.MaxDuration)
	_, ok = c.Policy(Key{Namespace: "ml", Name: "strict"})
	require.False(t, ok)
}

func TestValidateNamesObjectsWhereThereIsNoFile(t *testing.T) {
	c := parse(t, unadvised)
	c.Routes[0].Timeouts.Request = -1
	c.Routes[0].Strategy.Canary.Bake = -1

	require.EqualError(t, Validate(c), `InferenceRoute default/filetype: spec.timeouts.request: is not above 0s, found "-1ns"`+"\n"+
		`InferenceRoute default/filetype: spec.strategy.canary.bake: is below 0s, found "-1ns"`)
}

// FuzzParse looks for documents that bring the reader down, or that it takes and
// the rules, its own writer or itself do not take again.
func FuzzParse(f *testing.F) {
	f.Add([]byte(tenMistakes))
	f.Add([]byte(unadvised + strictPolicy))
	f.Add([]byte(StandardYAML()))
	f.Add([]byte(`{"kind": "InferenceRoute", "spec": {"hostnames": ["\ud83d\ude00"]}}`))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("kind: InferenceRoute\nmetadata: &m {<<: *m}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(Document{Name: "fuzz.yaml", Data: data})
		if err != nil {
			require.Nil(t, c)
			var mistakes Mistakes
			require.ErrorAs(t, err, &mistakes)
			require.NotEmpty(t, mistakes)
			for _, m := range mistakes {
				require.Positive(t, m.Line)
				require.NotContains(t, m.Error(), "\n")
			}
			return
		}
		require.NoError(t, Validate(c))
		Advise(c)
		written, err := c.YAML()
		require.NoError(t, err)
		again, err := Parse(Document{Name: "again.yaml", Data: written})
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(c, again))
	})
}
