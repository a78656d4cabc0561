package ads

import (
	"maps"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
)

// published is what wanted was translated from.
type published struct {
	cfg     *config.Config
	splits  map[config.Key]config.Split
	formers xds.Formers
}

// Publish makes cfg under splits what proxies should end up with, and returns at
// once. How long a proxy is waited for is for the routes' policies, as far as cfg has
// them. An inference route that cannot be translated keeps what it had, is named
// in the error by a *xds.RouteError, and holds up no other. What cfg and splits
// hold must not be written to afterwards.
func (s *Server) Publish(cfg *config.Config, splits map[config.Key]config.Split) error {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	next := published{cfg, splits, s.published.formers}
	resources, err := s.translator.TranslateMoving(cfg, splits, next.formers)
	if err != nil {
		next = s.withLastGood(next, resources.Refused)
		// What is refused even so, is refused for what replaced it: that goes first.
		resources, _ = s.translator.TranslateMoving(next.cfg, next.splits, next.formers)
	}
	before := s.good
	s.remember(next, resources)
	next.formers = next.formers.Next(before, s.good, s.hasOpened)
	if len(next.formers)+len(s.published.formers) > 0 {
		resources, _ = s.translator.TranslateMoving(next.cfg, next.splits, next.formers) // and err is what it was
	}
	s.published = next
	s.unmirror(resources.Unmirrored)
	if !maps.EqualFunc(before, s.good, samePlace) {
		s.unkeep()
	}
	s.mu.Lock()
	s.patience = patienceOf(cfg)
	s.mu.Unlock()
	s.want(resources)
	return err
}

// want makes resources what proxies should end up with.
func (s *Server) want(resources xds.Resources) {
	s.mu.Lock()
	s.wanted = resources
	s.carry(resources)
	s.reminding = true
	s.mu.Unlock()
	s.rouse()
}

// unmirror logs which mirrors are left out, each once.
func (s *Server) unmirror(now map[config.Key]error) {
	for k, why := range now {
		if before, told := s.unmirrored[k]; !told || before.Error() != why.Error() {
			s.cfg.Log.Warn("mirror left out", "route", k.String(), "reason", why)
		}
	}
	s.unmirrored = now
}

// withLastGood gives the refused inference routes as they were, and the others as
// they are.
func (s *Server) withLastGood(p published, refused []config.Key) published {
	bad := map[config.Key]bool{}
	for _, k := range refused {
		bad[k] = true
	}
	mixed := &config.Config{Policies: p.cfg.Policies}
	old := map[config.Key]config.Split{}
	for _, r := range p.cfg.Routes {
		if !bad[r.Key] {
			mixed.Routes = append(mixed.Routes, r)
			old[r.Key] = p.splits[r.Key]
		}
	}
	for _, k := range refused {
		if good, ok := s.good[k]; ok {
			mixed.Routes = append(mixed.Routes, good)
			old[k] = s.goodSplits[k]
		}
	}
	return published{mixed, old, p.formers}
}

// remember keeps what was translated of p. What was refused even as it had been is
// still good, for when what replaced it goes.
func (s *Server) remember(p published, r xds.Resources) {
	routes := make(map[config.Key]config.InferenceRoute, len(r.Placed))
	splits := make(map[config.Key]config.Split, len(r.Placed))
	for _, k := range r.Refused {
		if good, ok := s.good[k]; ok {
			routes[k], splits[k] = good, s.goodSplits[k]
		}
	}
	for _, route := range p.cfg.Routes {
		if _, placed := r.Placed[route.Key]; placed {
			routes[route.Key], splits[route.Key] = route, p.splits[route.Key]
		}
	}
	s.good, s.goodSplits = routes, splits
}
