package xds_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/xds"
)

func BenchmarkTranslate(b *testing.B) {
	for _, n := range []int{1, 200} {
		b.Run(fmt.Sprintf("%d inference routes", n), func(b *testing.B) {
			cfg := configOf()
			for i := range n {
				cfg.Routes = append(cfg.Routes, route(fmt.Sprintf("model-%03d", i)))
			}
			splits := stableOnly(cfg)
			b.ReportAllocs()
			for b.Loop() {
				_, err := xds.Translate(cfg, splits)
				require.NoError(b, err)
			}
		})
	}
}
