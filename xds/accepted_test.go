package xds_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
)

// wholes gives each inference route's first version everything.
func wholes(c *config.Config) map[config.Key]config.Split {
	splits := map[config.Key]config.Split{}
	for _, r := range c.Routes {
		splits[r.Key] = config.Split{Epoch: 1, Shares: config.Whole(r.Versions[0].Name)}
	}
	return splits
}

func TestWhatConfigLetsThroughIsTranslated(t *testing.T) {
	files, err := filepath.Glob("../config/testdata/*.good.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			c, err := config.Parse(config.Document{Name: path, Data: data})
			require.NoError(t, err)
			_, err = xds.Translate(c, wholes(c))
			require.NoError(t, err)
		})
	}
}

// Names and values that only clients understand reach Envoy as they were written,
// or are refused where a user can read why.
func TestAnyUnitAndOverrideThatIsValidIsTranslated(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		token := rapid.StringMatching("[!#$%&'*+.^_`|~0-9a-zA-Z-]{1,12}")
		text := rapid.StringMatching(`[!-~]{1,12}`)
		kind := rapid.SampledFrom([]config.HeaderMatchType{config.HeaderExact, config.HeaderExpression})
		tune := func(r *config.RouteSpec) {
			r.Versions[1].Endpoints = []string{"10.0.0.1:80"}
			r.Stickiness = rapid.SampledFrom([]*config.Stickiness{
				{Header: token.Draw(t, "header")}, {Cookie: &config.UnitCookie{Name: token.Draw(t, "cookie")}},
			}).Draw(t, "stickiness")
			r.Overrides = []config.Override{
				{Header: &config.HeaderMatch{Name: token.Draw(t, "name"), Type: kind.Draw(t, "type"), Value: text.Draw(t, "value")}, Version: "v3-2"},
				{Cookie: &config.CookieMatch{Name: token.Draw(t, "name"), Value: text.Draw(t, "value")}, Version: "v3-3"},
			}
			r.Strategy.ABTest = &config.ABTest{Arms: map[string]config.Percent{"v3-2": 400_000, "v3-3": 600_000}, Reference: "v3-2"}
		}
		r := route("filetype", tune)
		r.RouteSpec = r.Default()
		c := configOf(r)
		if config.Validate(c) != nil {
			return // with a reason: config has tests of those
		}
		_, err := xds.Translate(c, wholes(c))
		require.NoError(t, err)
	})
}
