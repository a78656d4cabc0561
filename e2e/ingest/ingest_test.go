package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// However many entries come, each request is counted once and nothing of them stays.
func TestMemoryIsSteadyHoweverManyEntriesCome(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	p, epoch, err := newPlane(t.Context(), socket)
	require.NoError(t, err)
	defer p.stop()
	o := options{streams: 4}
	take := func(entries int) cost {
		entries = o.rounded(entries)
		c, err := measure(entries, func() error {
			return p.take(t.Context(), entries, func(n int) error { return send(t.Context(), socket, epoch, n, o.streams) })
		})
		require.NoError(t, err)
		return c
	}
	first := take(50_000)
	second := take(200_000)
	t.Logf("heap %s after %d entries, %s after %d more", mebibytes(first.heap), first.entries, mebibytes(second.heap), second.entries)
	require.Less(t, second.heap, first.heap+1<<20, "of 200,000 entries not 6 bytes each stay behind")
	s, _ := p.manager.Snapshot(filetype())
	require.Equal(t, int64(first.entries+second.entries)/2, counted(s), "once each")
}
