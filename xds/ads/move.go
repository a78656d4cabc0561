package ads

import (
	"reflect"
	"slices"
	"time"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
)

// move goes on with inference routes that change their port: it has the former one
// closed when every proxy listens on the new one, and forgotten when that has
// drained. It says when to look again. Like advance, only Run calls it.
func (s *Server) move() (due time.Time) {
	if s.atRest() {
		return time.Time{}
	}
	s.publishing.Lock()
	defer s.publishing.Unlock()
	formers := s.published.formers
	arrived, drained, due := s.moved(s.cfg.Now())
	for _, k := range drained {
		formers = formers.Drop(k)
	}
	for _, k := range arrived {
		formers = formers.Close(k)
	}
	if len(arrived)+len(drained) == 0 {
		return due
	}
	// What it refuses, Publish has said.
	resources, _ := s.translator.TranslateMoving(s.published.cfg, s.published.splits, formers)
	s.published.formers = resources.Kept
	s.unkeep()
	s.want(resources)
	return due
}

func (s *Server) atRest() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.former) == 0
}

// moved lists inference routes with a former port that can close, and those with
// one whose connections have drained, and says when others will.
func (s *Server) moved(now time.Time) (arrived, drained []config.Key, due time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, formers := range s.former {
		at, closing := s.closing[k]
		switch {
		case closing && !now.Before(at.Add(s.cfg.Drain)):
			delete(s.closing, k)
			drained = append(drained, k)
		case closing:
			due = earlier(due, at.Add(s.cfg.Drain))
		}
		if listened(formers) && s.arrived(k) {
			s.closing[k] = now
			arrived = append(arrived, k)
			due = earlier(due, now.Add(s.cfg.Drain))
		}
	}
	return arrived, drained, due
}

// listened says whether proxies may listen at former ports.
func listened(formers []xds.Place) bool {
	for _, place := range formers {
		if place.Listener != "" {
			return true
		}
	}
	return false
}

// arrived says whether an inference route is served where it is wanted, by every
// proxy that is waited for and at least one.
func (s *Server) arrived(k config.Key) bool {
	place := s.placed[k]
	l := s.fanouts[xds.TypeListener].entries[place.Listener]
	return l != nil && l.takers > 0 && s.leads(k, place.Epoch, place, s.everyoneHas)
}

// keep tells where proxies listen, if that has changed.
func (s *Server) keep() {
	s.mu.Lock()
	told := s.kept
	s.kept = true
	s.mu.Unlock()
	if told {
		return
	}
	s.publishing.Lock()
	defer s.publishing.Unlock()
	if s.published.cfg != nil { // or what was known is all there is
		s.cfg.Keep(s.published.formers.Where(s.published.routes, s.hasOpened))
	}
}

func (s *Server) unkeep() {
	s.mu.Lock()
	s.kept = false
	s.mu.Unlock()
}

// cameAlike says whether requests come to an inference route as before.
func cameAlike(a, b config.InferenceRoute) bool {
	return a.Listener == b.Listener && slices.Equal(a.Hostnames, b.Hostnames) &&
		reflect.DeepEqual(a.Matches, b.Matches) && reflect.DeepEqual(a.Stickiness, b.Stickiness)
}

// hasOpened says whether some proxy has listened on a port that is served.
func (s *Server) hasOpened(port uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opened[xds.ListenerName(port)]
}
