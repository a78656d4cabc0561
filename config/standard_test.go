package config

import (
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func TestTheCommentedStandardPolicyIsTheBuiltInOne(t *testing.T) {
	renamed := strings.Replace(StandardYAML(), "name: standard", "name: mine", 1)

	got, err := Parse(Document{Name: "standard.yaml", Data: []byte(renamed)})

	require.NoError(t, err)
	require.Len(t, got.Policies, 1)
	if diff := cmp.Diff(Standard(), got.Policies[0].PolicySpec); diff != "" {
		t.Errorf("Standard() (-) and standard.yaml (+) differ:\n%s", diff)
	}
	require.NoError(t, Validate(got))
}

// A field may stand in a comment, where standard does not use it.
func TestTheStandardPolicyExplainsEveryField(t *testing.T) {
	for _, name := range namesIn(reflect.TypeFor[PolicySpec]()) {
		t.Run(name, func(t *testing.T) {
			explained := regexp.MustCompile(`(?m)^ *(# *)?(- )?` + name + `:`)

			require.Regexp(t, explained, StandardYAML())
		})
	}
}

func namesIn(typ reflect.Type) []string {
	switch typ.Kind() {
	case reflect.Pointer, reflect.Slice:
		return namesIn(typ.Elem())
	case reflect.Struct:
		if isText(typ) {
			return nil
		}
	default:
		return nil
	}
	var names []string
	for _, f := range fieldsOf(typ) {
		names = append(names, f.name)
		names = append(names, namesIn(typ.Field(f.index).Type)...)
	}
	return names
}

// What the file says of a default is what a policy gets that leaves it out.
func TestTheStandardPolicyHoldsTheDefaults(t *testing.T) {
	least := PolicySpec{Metrics: []Metric{
		{Name: MetricErrors, VersusStable: &VersusStable{RollbackIf: 1.5, PromoteIf: Below{Ratio: 2}}},
		{Name: MetricLatency, VersusStable: &VersusStable{RollbackIf: 1.5, PromoteIf: Below{Ratio: 2}}},
	}}.Default()
	standard := Standard()

	require.Equal(t, standard.Confidence, least.Confidence)
	require.Equal(t, standard.Limits, least.Limits)
	require.Equal(t, standard.Warmup, least.Warmup)
	require.Equal(t, standard.Unit, least.Unit)
	require.Equal(t, standard.Trip, least.Trip)
	require.InDelta(t, standard.Metrics[0].BurstCap, least.Metrics[0].BurstCap, 0)
	require.Equal(t, standard.Metrics[1].Quantiles, least.Metrics[1].Quantiles)
	require.InDelta(t, 1, least.Metrics[0].Weight, 0)
	require.Zero(t, least.Metrics[0].VersusStable.Floor)
}

func TestDefaultsDoNotReachIntoWhatTheyWereGiven(t *testing.T) {
	given := RouteSpec{
		Matches:  []Match{{Path: &PathMatch{Value: "/"}, Headers: []HeaderMatch{{Name: "a", Value: "b"}}}},
		Versions: []Version{{Name: "v1", Health: &Health{Path: "/ready"}}},
		Strategy: Strategy{Canary: &Canary{}},
	}
	metrics := []Metric{{Name: MetricErrors}}

	got := given.Default()
	policy := PolicySpec{Metrics: metrics}.Default()

	require.Equal(t, PathPrefix, got.Matches[0].Path.Type)
	require.Equal(t, HeaderExact, got.Matches[0].Headers[0].Type)
	require.NotZero(t, got.Versions[0].Health.Interval)
	require.Equal(t, "v1", got.Target)
	require.InDelta(t, 1, policy.Metrics[0].Weight, 0)
	require.Zero(t, given.Matches[0].Path.Type)
	require.Zero(t, given.Matches[0].Headers[0].Type)
	require.Zero(t, given.Versions[0].Health.Interval)
	require.Zero(t, metrics[0].Weight)
	require.Equal(t, got, got.Default(), "what is complete stays as it is")
}
