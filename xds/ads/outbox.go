package ads

import (
	"slices"
	"sync"

	discoverypb "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/sluice-dev/sluice/xds"
)

// response is what a proxy is told at once of one type.
type response struct {
	typ     xds.Type
	nonce   string
	version string // of the whole list; state of the world only
	set     []*entry
	removed []string // increments only
}

// increment gives the response as a message. What is the same for all proxies has
// been marshalled before, and fields of a message may come in any order.
func (r *response) increment() *discoverypb.DeltaDiscoveryResponse {
	m := &discoverypb.DeltaDiscoveryResponse{TypeUrl: string(r.typ), Nonce: r.nonce, RemovedResources: r.removed}
	switch len(r.set) {
	case 0:
	case 1:
		m.ProtoReflect().SetUnknown(r.set[0].increment)
	default:
		parts := make([][]byte, 0, len(r.set))
		for _, e := range r.set {
			parts = append(parts, e.increment)
		}
		m.ProtoReflect().SetUnknown(slices.Concat(parts...))
	}
	return m
}

// world gives the response as a message.
func (r *response) world() *discoverypb.DiscoveryResponse {
	m := &discoverypb.DiscoveryResponse{TypeUrl: string(r.typ), Nonce: r.nonce, VersionInfo: r.version}
	for _, e := range r.set {
		m.Resources = append(m.Resources, e.body)
	}
	return m
}

// outbox holds responses in the order in which they were decided on, until they
// are written, by one goroutine at a time.
type outbox struct {
	write func(*response) error

	mu    sync.Mutex
	queue []*response
	busy  bool
}

func (o *outbox) push(r *response) {
	o.mu.Lock()
	o.queue = append(o.queue, r)
	o.mu.Unlock()
}

// flush writes what is there, unless another goroutine is about to.
func (o *outbox) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.busy {
		return
	}
	o.busy = true
	for i := 0; i < len(o.queue); i++ {
		r := o.queue[i]
		o.queue[i] = nil
		o.mu.Unlock()
		_ = o.write(r) // a stream that has ended is noticed where it is read
		o.mu.Lock()
	}
	o.queue, o.busy = o.queue[:0], false
}

// errand is a stream that Run has something to write to.
type errand struct {
	session *session
	slow    bool // a write might wait for the proxy
}

func (e errand) run() {
	if e.slow {
		go e.session.outbox.flush() // until the proxy reads, or goes
		return
	}
	e.session.outbox.flush()
}
