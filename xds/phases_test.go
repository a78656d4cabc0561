package xds

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// world builds wanted resources from words: "cA@1" is cluster A in version 1, and
// so on for e(ndpoints), r(oute table)>clusters it needs, s(cope)>table,
// l(istener)>table.
func world(words string) Resources {
	var out Resources
	kinds := map[byte]struct {
		list *[]Resource
		need Type
	}{
		'c': {&out.Clusters, ""}, 'e': {&out.Endpoints, ""}, 'r': {&out.Routes, TypeCluster}, 's': {&out.Scopes, TypeRoute}, 'l': {&out.Listeners, TypeRoute},
	}
	for word := range strings.FieldsSeq(words) {
		head, needs, _ := strings.Cut(word, ">")
		name, version, _ := strings.Cut(head[1:], "@")
		r := Resource{Name: name, Version: version}
		for _, n := range strings.FieldsFunc(needs, func(c rune) bool { return c == ',' }) {
			r.Needs = append(r.Needs, Ref{kinds[head[0]].need, n})
		}
		k := kinds[head[0]]
		*k.list = append(*k.list, r)
	}
	return out
}

// refs reads words without versions, as "cA".
func refs(words string) map[Ref]bool {
	types := map[byte]Type{'c': TypeCluster, 'e': TypeEndpoint, 'r': TypeRoute, 's': TypeScope, 'l': TypeListener}
	out := map[Ref]bool{}
	for w := range strings.FieldsSeq(words) {
		out[Ref{types[w[0]], w[1:]}] = true
	}
	return out
}

func spell(changes []Change) string {
	letters := map[Type]string{TypeCluster: "c", TypeEndpoint: "e", TypeRoute: "r", TypeScope: "s", TypeListener: "l"}
	var out []string
	for _, c := range changes {
		for _, r := range c.Set {
			out = append(out, fmt.Sprintf("%s%s@%s", letters[c.Type], r.Name, r.Version))
		}
		for _, n := range c.Removed {
			out = append(out, "-"+letters[c.Type]+n)
		}
	}
	return strings.Join(out, " ")
}

func TestPhases(t *testing.T) {
	type step struct {
		wanted string // empty: as before
		open   string // what a proxy has not answered
		at     time.Duration
		want   string // what proxies are told
		wake   time.Duration
	}
	const one = "cA@1 eA@1 rT@1>A sS@1>T lL@1>T"
	served := []step{{wanted: one, want: "cA@1 eA@1"}, {want: "rT@1"}, {want: "sS@1 lL@1"}, {}}
	for name, steps := range map[string][]step{
		"the first configuration comes in Envoy's order": {
			{wanted: one, want: "cA@1 eA@1"},
			{open: "cA eA"},
			{open: "eA", want: "rT@1"},
			{want: "sS@1 lL@1"},
			{},
		},
		"a new version is made before it is routed to, and the old one broken last": append(slices.Clone(served), []step{
			{wanted: "cB@1 eB@1 rT@2>B sS@1>T lL@1>T", want: "cB@1 eB@1"},
			{open: "cB"},
			{want: "rT@2"},
			{open: "rT", at: time.Minute},
			{at: time.Minute, wake: time.Minute + 10*time.Second},
			{at: time.Minute + 9*time.Second, wake: time.Minute + 10*time.Second},
			{at: time.Minute + 10*time.Second, want: "-cA -eA"},
			{at: time.Hour},
		}...),
		"a weight alone is one table": append(slices.Clone(served), []step{
			{wanted: "cA@1 eA@1 rT@2>A sS@1>T lL@1>T", want: "rT@2"},
			{},
		}...),
		"taking a share away waits for nothing, not even for a cluster that is stuck": {
			{wanted: "cA@1 cB@1 eA@1 eB@1 rT@1>A,B sS@1>T lL@1>T", want: "cA@1 cB@1 eA@1 eB@1"},
			{want: "rT@1"},
			{want: "sS@1 lL@1"},
			{wanted: "cA@1 cB@1 cC@1 eA@1 eB@1 eC@1 rT@2>A sS@1>T lL@1>T", open: "cA cB", want: "cC@1 eC@1 rT@2"},
		},
		"a table waits for its own new cluster, not for its neighbour's": {
			{wanted: "cA@1 cB@1 eA@1 eB@1 rT@1>A rU@1>B", want: "cA@1 cB@1 eA@1 eB@1"},
			{open: "cA", want: "rU@1"},
			{want: "rT@1"},
		},
		"a version that is wanted again before it has drained stays": append(slices.Clone(served), []step{
			{wanted: "cB@1 eB@1 rT@2>B sS@1>T lL@1>T", want: "cB@1 eB@1"},
			{want: "rT@2"},
			{at: time.Second, wake: 11 * time.Second},
			{at: 5 * time.Second, wanted: "cA@1 cB@1 eA@1 eB@1 rT@3>A,B sS@1>T lL@1>T", want: "rT@3"},
			{at: time.Minute},
			{at: time.Minute, wanted: "cB@1 eB@1 rT@4>B sS@1>T lL@1>T", want: "rT@4"},
			{at: time.Minute, wake: time.Minute + 10*time.Second},
		}...),
		"an edited cluster is told before its endpoints, and not while another answer is out": append(slices.Clone(served), []step{
			{wanted: "cA@2 cB@1 eA@2 eB@1 rT@1>A sS@1>T lL@1>T", open: "cZ", want: "cB@1 eB@1"},
			{open: "cB"},
			{want: "cA@2 eA@2"},
		}...),
		"a cluster that nobody wants any more stays with its endpoints until it is answered": append(slices.Clone(served), []step{
			{wanted: "cA@1 cB@1 eA@1 eB@1 rT@1>A sS@1>T lL@1>T", want: "cB@1 eB@1"},
			{wanted: one, open: "cB", wake: 10 * time.Second},
			{open: "cB", at: 10 * time.Second},
			{open: "cB", at: 11 * time.Second, wanted: "cA@1 cB@2 eA@1 eB@2 rT@1>A sS@1>T lL@1>T"}, // an edit, which waits
			{at: 12 * time.Second, want: "cB@2 eB@2"},
			{at: 13 * time.Second, wanted: one, wake: 23 * time.Second},
			{at: 23 * time.Second, want: "-cB -eB"},
		}...),
		"endpoints alone change at once": append(slices.Clone(served), []step{
			{wanted: "cA@1 eA@2 rT@1>A sS@1>T lL@1>T", open: "cA rT lL", want: "eA@2"},
		}...),
		"an inference route that goes leaves from the outside in": append(slices.Clone(served), []step{
			{wanted: " ", want: "-lL"},
			{at: time.Second, wake: 10 * time.Second}, // its connections drain meanwhile
			{at: 10 * time.Second, want: "-sS"},
			{at: 10 * time.Second, want: "-rT"},
			{at: 11 * time.Second, wake: 21 * time.Second},
			{at: 21 * time.Second, want: "-cA -eA"},
		}...),
		"a listener that stops using scopes keeps them while its connections drain": append(slices.Clone(served), []step{
			{wanted: "cA@1 eA@1 rU@1>A lL@2>U", want: "rU@1"},
			{open: "rU"},
			{at: time.Second, want: "lL@2"},
			{at: 2 * time.Second, open: "lL"},
			{at: 3 * time.Second, wake: 12 * time.Second},
			{at: 12 * time.Second, want: "-sS"},
			{at: 12 * time.Second, want: "-rT"},
			{at: 12 * time.Second},
		}...),
		"a listener that moves to another port leaves its scopes to its connections while they drain": append(slices.Clone(served), []step{
			{wanted: "cA@1 eA@1 rU@1>A sZ@1>U lM@1>U", want: "rU@1"},
			{at: time.Second, want: "sZ@1 lM@1"},
			{at: time.Second, open: "lM"}, // the new port is not open yet
			{at: 2 * time.Second, want: "-lL"},
			{at: 3 * time.Second, wake: 12 * time.Second},
			{at: 12 * time.Second, want: "-sS"},
			{at: 12 * time.Second, want: "-rT"},
			{at: 12 * time.Second},
		}...),
		"a hostname that goes, goes at once": {
			{wanted: one + " sZ@1>T", want: "cA@1 eA@1"},
			{want: "rT@1"},
			{want: "sS@1 sZ@1 lL@1"},
			{wanted: one, want: "-sZ"},
			{},
		},
		"a table that moves is made before the scope leads to it": append(slices.Clone(served), []step{
			{wanted: "cA@1 eA@1 rU@1>A sS@2>U lL@1>T", want: "rU@1"},
			{open: "rU"},
			{want: "sS@2"},
		}...),
	} {
		t.Run(name, func(t *testing.T) {
			var p Progress
			var wanted Resources
			epoch := time.Unix(1_700_000_000, 0)
			for i, s := range steps {
				if s.wanted != "" {
					wanted = world(s.wanted)
				}
				before := maps.Clone(p.Served)
				next, changes, wake := p.Next(Situation{Wanted: wanted, Open: refs(s.open), Now: epoch.Add(s.at), Drain: 10 * time.Second})
				require.Equal(t, s.want, spell(changes), "step %d", i)
				require.Equal(t, before, p.Served, "Next must not change its receiver")
				var wantWake time.Time
				if s.wake != 0 {
					wantWake = epoch.Add(s.wake)
				}
				require.Equal(t, wantWake, wake, "step %d", i)
				p = next
			}
		})
	}
}
