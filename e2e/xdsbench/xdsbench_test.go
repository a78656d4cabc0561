package main

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

// Of the table itself; the rest of a response, some 180 bytes, is names and types
// that the protocol wants.
const tableBytes = 300

func TestAnEditIsOneSmallResponsePerProxyAtAnySizeOfTheTable(t *testing.T) {
	const proxies, edits = 50, 4
	size := map[int]float64{}
	for _, routes := range []int{1, 200} {
		for _, all := range []bool{false, true} {
			w := newWorld(routes)
			w.all = all
			s, err := newServer("sluice", w)
			require.NoError(t, err)
			socket := filepath.Join(t.TempDir(), "xds.sock")
			stop, err := host(s, socket)
			require.NoError(t, err)
			swarm, err := dial(t.Context(), socket, w, proxies)
			require.NoError(t, err)
			for edit := range edits {
				if edit == 0 {
					swarm.count()
				}
				require.NoError(t, s.Edit(edit+1))
				_, err := swarm.await(t.Context())
				require.NoError(t, err)
			}
			heard := swarm.count()
			require.EqualValues(t, proxies*edits, heard.responses, "%d routes, all types: %v", routes, all)
			size[routes] = float64(heard.bytes) / float64(heard.responses)
			tables, err := w.messages(edits)
			require.NoError(t, err)
			body := proto.Size(tables[w.table()])
			require.LessOrEqual(t, body, tableBytes)
			require.LessOrEqual(t, size[routes], float64(body+200))
			swarm.close()
			stop()
		}
	}
	require.InDelta(t, size[1], size[200], 4, "what else there is does not count")
}

func TestEveryServerOfTheComparisonTellsEachProxyOfEachEdit(t *testing.T) {
	for _, kind := range []string{"raw", "linear", "snapshot", "sluice"} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(3)
			s, err := newServer(kind, w)
			require.NoError(t, err)
			socket := filepath.Join(t.TempDir(), "xds.sock")
			stop, err := host(s, socket)
			require.NoError(t, err)
			defer stop()
			swarm, err := dial(t.Context(), socket, w, 5)
			require.NoError(t, err)
			defer swarm.close()
			require.NoError(t, s.Edit(1))
			times, err := swarm.await(t.Context())
			require.NoError(t, err)
			require.Len(t, times, 5)
		})
	}
}

func TestGoalsAreJudgedAgainstRawOfTheSameCell(t *testing.T) {
	c := cell{1000, 200}
	results := []result{
		{cell: c, kind: "raw", last: 10 * time.Millisecond, cpu: 10 * time.Millisecond},
		{cell: c, kind: "sluice", last: 16 * time.Millisecond, cpu: 12 * time.Millisecond, responses: 1, bytes: 299, memory: 90_000},
	}
	var out bytes.Buffer
	require.NoError(t, judge(&out, results, []fromFile{{routes: 1, p50: 2 * time.Millisecond}}))
	require.Regexp(t, `last proxy to raw +1\.60 +<= 1\.5 +MISSED`, out.String())
	require.Regexp(t, `processor time to raw +1\.20 +<= 1\.3 +holds`, out.String())
	require.Regexp(t, `memory per stream +90\.00 KB +<= 120 +holds`, out.String())
	require.Regexp(t, `from a file.*2\.00 ms +<= 3 +holds`, out.String())
}
