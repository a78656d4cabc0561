package xds_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
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

// What a publication costs in a world that is otherwise as it was.
func BenchmarkTranslateOneWeight(b *testing.B) {
	for _, n := range []int{1, 200} {
		b.Run(fmt.Sprintf("%d inference routes", n), func(b *testing.B) {
			cfg := configOf()
			for i := range n {
				cfg.Routes = append(cfg.Routes, route(fmt.Sprintf("model-%03d", i)))
			}
			splits := stableOnly(cfg)
			var translator xds.Translator
			_, err := translator.Translate(cfg, splits)
			require.NoError(b, err)
			b.ReportAllocs()
			for epoch := uint64(2); b.Loop(); epoch++ {
				splits[key("model-000")] = config.Split{Epoch: epoch, Shares: config.Carve("v3-2", "v3-3", uint32(epoch%9999+1), 0)}
				_, err := translator.Translate(cfg, splits)
				require.NoError(b, err)
			}
		})
	}
}
