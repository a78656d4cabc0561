package ads

import (
	"crypto/sha256"
	"encoding/base64"

	discoverypb "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/sluice-dev/sluice/xds"
)

// StreamAggregatedResources serves one proxy the state of the world until it goes.
func (s *Server) StreamAggregatedResources(stream discoverypb.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	c := &session{watches: map[xds.Type]*watch{}}
	c.outbox.write = func(r *response) error { return stream.Send(r.world()) }
	return s.converse(stream.Context(), c, func() error {
		req, err := stream.Recv()
		if err != nil {
			return err
		}
		r := request{node: req.GetNode(), typ: xds.Type(req.GetTypeUrl()), nonce: req.GetResponseNonce(), nack: req.GetErrorDetail()}
		return s.heard(c, r, func(w *watch) { s.askWorld(w, req) })
	})
}

// askWorld is ask for a request that names all that the proxy wants.
func (s *Server) askWorld(w *watch, req *discoverypb.DiscoveryRequest) {
	if w.asked && req.GetResponseNonce() != w.latest {
		return // a response is on its way, whose answer will say the same again
	}
	first := !w.asked
	everything := !w.wildcard && len(req.GetResourceNames()) == 0 && w.listed()
	changed := s.resubscribe(w, req.GetResourceNames(), everything)
	if first && req.GetVersionInfo() != "" && req.GetVersionInfo() == versionOf(w.world()) {
		s.trust(w)
	}
	if first || changed || everything {
		s.rouse()
	}
	s.answer(w, true, everything)
}

// resubscribe brings the index up to date with a list of names, and says whether
// it is another one.
func (s *Server) resubscribe(w *watch, names []string, everything bool) (changed bool) { //nolint:revive // a part of the subscription
	w.asked = true
	wanted := make(map[string]bool, len(names))
	for _, n := range names {
		wanted[n] = true
	}
	for n := range w.held {
		if w.named(n) && !wanted[n] {
			s.unsubscribeOne(w, n)
			changed = true
		}
	}
	if everything {
		s.subscribeAll(w)
	}
	for n := range wanted {
		if !w.named(n) {
			s.subscribe(w, n)
			changed = true
		}
	}
	return changed
}

// trust takes a proxy that comes back to have all that it asks for.
func (s *Server) trust(w *watch) {
	world := w.world()
	w.learn(world, nil, s.cfg.Now().UnixNano())
	for _, e := range world {
		s.took(w, e, s.cfg.Now())
	}
}

// world lists everything that the proxy subscribes to, sorted.
func (w *watch) world() []*entry {
	var list []*entry
	w.names(func(n string) {
		if e := w.fanout.entries[n]; e != nil {
			list = append(list, e)
		}
	})
	return sortEntries(list)
}

// versionOf stands for a whole list, the same on every replica.
func versionOf(world []*entry) string {
	h := sha256.New()
	for _, e := range world {
		h.Write([]byte(e.ref.Name + "\x00" + e.version + "\x00"))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:12])
}

// widen makes a response one of the state of the world: a whole list where Envoy
// wants one, only what is new where it does not.
func (w *watch) widen(r *response) {
	world := w.world()
	r.version, r.removed = versionOf(world), nil
	if w.whole() {
		r.set = world
	}
	w.latest = r.nonce
}

// whole says whether each response to a watch is the whole list. In the others,
// what is missing stays.
func (w *watch) whole() bool { return !w.session.incremental && w.listed() }
