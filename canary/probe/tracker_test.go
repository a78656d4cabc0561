package probe

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/config"
)

func TestAnEndpointIsWhatItsProxiesKnowItToBe(t *testing.T) {
	up, bad, silent := answer{}, answer{"answered 503", true}, answer{"no answer", false}
	for _, test := range []struct {
		name    string
		answers []answer
		ready   []int // reported
	}{
		{"its first answer counts", []answer{up}, []int{1}},
		{"one that comes up has answered twice", []answer{bad, up, up}, []int{0, 1}},
		{"a proxy may not have heard of the first time", []answer{bad, up, bad, up}, []int{0}},
		{"one that says it is not ready is believed", []answer{up, bad}, []int{1, 0}},
		{"one that did not answer once is ready still", []answer{up, silent, up, silent, up}, []int{1}},
		{"one that did not answer twice is not", []answer{up, silent, silent}, []int{1, 0}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var ready []int
			tr := newTracker(func(r Readiness) { ready = append(ready, r.Ready) })
			c := check{version: version{config.Key{Namespace: "ml", Name: "filetype"}, "v2"}, endpoint: "a:80"}
			tr.expect(map[check]bool{c: true})
			for _, a := range test.answers {
				tr.set(c, a, time.Time{})
			}
			require.Equal(t, test.ready, ready)
		})
	}
}
