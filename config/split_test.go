package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRotatedIntervalsGoRoundTheEnd(t *testing.T) {
	shares := []Share{{"v1", 6000}, {"v2", 1000}, {"v3", 3000}}
	for offset, want := range map[uint32][]Share{
		0:      shares,
		10_000: shares,
		3000:   {{"v3", 3000}, {"v1", 6000}, {"v2", 1000}},
		1000:   {{"v3", 1000}, {"v1", 6000}, {"v2", 1000}, {"v3", 2000}},
		9000:   {{"v1", 5000}, {"v2", 1000}, {"v3", 3000}, {"v1", 1000}},
	} {
		require.Equal(t, want, Rotate(shares, offset), "%d", offset)
	}
}
