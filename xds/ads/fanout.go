package ads

import (
	"fmt"
	"slices"
	"strings"
	"time"

	discoverypb "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
)

// remembered is how many changes of a type are kept, so that a proxy that answers
// is compared with what changed and not with what exists.
const remembered = 1024

// entry is one version of a resource as it is served. All streams share it, and
// only the count of those that took it ever changes.
type entry struct {
	ref       xds.Ref
	version   string
	body      *anypb.Any
	increment []byte // a DeltaDiscoveryResponse with nothing else in it
	published time.Time
	table     string                // that a scope leads to; scopes only
	carries   map[config.Key]uint64 // inference routes and their epochs; RouteConfigurations only
	takers    int                   // streams that took it last
	alone     []*entry              // itself, for responses with nothing else
}

// fanout is all that is served of one type and who listens. An update costs what
// has changed times who subscribes to it. The Server's lock guards it.
type fanout struct {
	typ     xds.Type
	entries map[string]*entry
	seq     uint64   // counts updates of entries
	changed []string // the last names that changed, changed[len-1] by update seq
	byName  map[string]map[*watch]struct{}
	wild    map[*watch]struct{}
	other   *entry // stands for any version that is not served
}

func newFanout(t xds.Type) *fanout {
	return &fanout{typ: t, entries: map[string]*entry{}, byName: map[string]map[*watch]struct{}{}, wild: map[*watch]struct{}{}, other: &entry{}}
}

func newEntry(t xds.Type, r xds.Resource, carries map[config.Key]uint64, now time.Time) *entry {
	body := &anypb.Any{TypeUrl: string(t), Value: r.Body}
	e := &entry{
		ref:       xds.Ref{Type: t, Name: r.Name},
		version:   r.Version,
		body:      body,
		increment: marshalled(&discoverypb.Resource{Name: r.Name, Version: r.Version, Resource: body}),
		published: now,
		table:     tableOf(t, r),
		carries:   carries,
	}
	e.alone = []*entry{e}
	return e
}

// marshalled gives the bytes that a resource adds to a response.
func marshalled(r *discoverypb.Resource) []byte {
	b, err := proto.Marshal(&discoverypb.DeltaDiscoveryResponse{Resources: []*discoverypb.Resource{r}})
	if err != nil {
		panic(fmt.Sprintf("ads: %q: %v", r.GetName(), err)) // its strings are not UTF-8, which validation refuses
	}
	return b
}

// tableOf gives the table that a scope leads to.
func tableOf(t xds.Type, r xds.Resource) string {
	i := slices.IndexFunc(r.Needs, func(n xds.Ref) bool { return n.Type == xds.TypeRoute })
	if t != xds.TypeScope || i < 0 {
		return ""
	}
	return r.Needs[i].Name
}

// put replaces an entry; a nil e removes it.
func (f *fanout) put(name string, e *entry) {
	if e == nil {
		delete(f.entries, name)
	} else {
		f.entries[name] = e
	}
	f.seq++
	if len(f.changed) >= 2*remembered {
		f.changed = append(f.changed[:0], f.changed[len(f.changed)-remembered:]...)
	}
	f.changed = append(f.changed, name)
}

// since lists the names that changed after update seq, or says that it no longer
// knows.
func (f *fanout) since(seq uint64) ([]string, bool) {
	n := f.seq - seq
	if n > uint64(len(f.changed)) {
		return nil, false
	}
	return f.changed[uint64(len(f.changed))-n:], true
}

// listeners calls visit for every watch that hears of name, once.
func (f *fanout) listeners(name string, visit func(*watch)) {
	for w := range f.byName[name] {
		visit(w)
	}
	for w := range f.wild {
		if _, twice := f.byName[name][w]; !twice {
			visit(w)
		}
	}
}

// audience is how many watches hear of a name, or more.
func (f *fanout) audience(name string) int { return len(f.byName[name]) + len(f.wild) }

func (f *fanout) subscribe(w *watch, name string) {
	set := f.byName[name]
	if set == nil {
		set = map[*watch]struct{}{}
		f.byName[name] = set
	}
	set[w] = struct{}{}
}

func (f *fanout) unsubscribe(w *watch, name string) {
	delete(f.byName[name], w)
	if len(f.byName[name]) == 0 {
		delete(f.byName, name)
	}
}

func sortEntries(list []*entry) []*entry {
	slices.SortFunc(list, func(a, b *entry) int { return strings.Compare(a.ref.Name, b.ref.Name) })
	return list
}
