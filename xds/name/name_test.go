package name_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds/name"
)

var filetype = config.Key{Namespace: "ml", Name: "filetype"}

func TestNamesAreReadBack(t *testing.T) {
	require.Equal(t, "ml/filetype/v3-2", name.Cluster(filetype, "v3-2"))
	route, version, err := name.ParseCluster("ml/filetype/v3-2")
	require.NoError(t, err)
	require.Equal(t, filetype, route)
	require.Equal(t, "v3-2", version)

	require.Equal(t, "ml/filetype/v3-2~copies", name.Copies(filetype, "v3-2"))
	require.True(t, name.IsCopies("ml/filetype/v3-2~copies"))
	require.False(t, name.IsCopies("ml/filetype/v3-2"))
	route, version, err = name.ParseCluster("ml/filetype/v3-2~copies")
	require.NoError(t, err)
	require.Equal(t, []any{filetype, "v3-2"}, []any{route, version})

	require.Equal(t, "ml/filetype/v3-3/v3-2", name.Covered(filetype, "v3-3", "v3-2"))
	route, version, by, err := name.ParseAssigned("ml/filetype/v3-3/v3-2")
	require.NoError(t, err)
	require.Equal(t, []any{filetype, "v3-3", "v3-2"}, []any{route, version, by})
	route, version, by, err = name.ParseAssigned("ml/filetype/v3-2")
	require.NoError(t, err)
	require.Equal(t, []any{filetype, "v3-2", ""}, []any{route, version, by})

	require.Equal(t, "ml/filetype@17", name.Route(filetype, 17))
	route, epoch, err := name.ParseRoute("ml/filetype@17")
	require.NoError(t, err)
	require.Equal(t, filetype, route)
	require.Equal(t, uint64(17), epoch)

	require.Equal(t, "v3-2@17", name.Arm("v3-2", 17))
	version, epoch, err = name.ParseArm("v3-2@17")
	require.NoError(t, err)
	require.Equal(t, "v3-2", version)
	require.Equal(t, uint64(17), epoch)
}

func TestWhatIsNoNameIsRefusedWithWhatWasFound(t *testing.T) {
	for _, s := range []string{"", "ml", "ml/filetype", "ml/filetype/", "//", "a/b/c/d"} {
		_, _, err := name.ParseCluster(s)
		require.ErrorContains(t, err, `"`+s+`": is not namespace/name/version`)
	}
	for _, s := range []string{"", "ml/filetype", "a/b/c/", "a/b//d", "a/b/c/d/e"} {
		_, _, _, err := name.ParseAssigned(s)
		require.ErrorContains(t, err, `is not namespace/name/version`)
	}
	for s, want := range map[string]string{
		"":                "has no @epoch",
		"ml/filetype":     "has no @epoch",
		"ml/filetype@":    `epoch "" is not a number`,
		"ml/filetype@-1":  `epoch "-1" is not a number`,
		"ml@1":            "is not namespace/name@epoch",
		"/filetype@1":     "is not namespace/name@epoch",
		"ml/filetype@1e9": `epoch "1e9" is not a number`,
	} {
		_, _, err := name.ParseRoute(s)
		require.ErrorContains(t, err, want, s)
	}
	for _, s := range []string{"", "v1", "@1", "v1@", "v1@x"} {
		_, _, err := name.ParseArm(s)
		require.ErrorContains(t, err, "is not version@epoch", s)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"ml/filetype/v1", "ml/filetype@1", "v1@1", "a@b@2", "", "@"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if route, version, err := name.ParseCluster(s); err == nil {
			require.Contains(t, []string{name.Cluster(route, version), name.Copies(route, version)}, s)
		}
		if route, epoch, err := name.ParseRoute(s); err == nil {
			requireEpoch(t, s, name.Route(route, epoch))
		}
		if version, epoch, err := name.ParseArm(s); err == nil {
			requireEpoch(t, s, name.Arm(version, epoch))
		}
	})
}

// requireEpoch lets an epoch have leading zeros.
func requireEpoch(t *testing.T, s, again string) {
	t.Helper()
	at := strings.LastIndexByte(s, '@')
	require.Equal(t, s[:at+1], again[:at+1])
	require.Equal(t, strings.TrimLeft(s[at+1:], "0"), strings.TrimLeft(again[at+1:], "0"))
}
