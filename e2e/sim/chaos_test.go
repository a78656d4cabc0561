package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhateverDiesOrIsLostNothingForbiddenHappens(t *testing.T) {
	var said strings.Builder
	require.NoError(t, tryChaos(&said, 0, 40))
	require.Regexp(t, `40 trials, \d{2,} deaths: promoted \d{2}, rolled back \d{2}, open \d+`, said.String())
}
