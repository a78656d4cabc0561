package config

import (
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
}
