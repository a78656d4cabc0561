package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary/review"
)

func TestOnlyReviewsArePrintedAsTheyAreHashed(t *testing.T) {
	const limit = "errors >1.5x"
	var plain, hashed bytes.Buffer
	require.NoError(t, printObject(&plain, "json", map[string]string{"reason": limit}))
	require.Contains(t, plain.String(), `"reason": "errors >1.5x"`)
	require.NoError(t, printObject(&hashed, "json", review.Review{Rollout: limit}))
	require.Contains(t, hashed.String(), `"rollout": "errors \u003e1.5x"`)
}
