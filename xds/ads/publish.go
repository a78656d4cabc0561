package ads

import (
	"errors"
	"maps"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
)

// published is what wanted was translated from.
type published struct {
	cfg     *config.Config // nil before the first Publish
	routes  map[config.Key]config.InferenceRoute
	splits  map[config.Key]config.Split
	formers xds.Formers
}

// Publish makes cfg under splits what proxies should end up with, and returns at
// once. How long a proxy is waited for is for the routes' policies, as far as cfg has
// them. An inference route that cannot be translated keeps what it had, is named
// in the error by a *xds.RouteError, and holds up no other; of its split it gets what
// only takes from its candidate. What cfg and splits hold must not be written to
// afterwards.
func (s *Server) Publish(cfg *config.Config, splits map[config.Key]config.Split) error {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	next, resources, err := s.sound(cfg, splits)
	if !maps.EqualFunc(s.published.routes, next.routes, cameAlike) {
		s.unkeep()
	}
	s.published = next
	s.logUnmirrored(resources.Unmirrored)
	s.mu.Lock()
	s.patience = patienceOf(cfg)
	s.mu.Unlock()
	s.want(resources)
	return err
}

// sound gives what of cfg and splits can be translated, with the others as they were,
// and names those. Each round may find more of them, that do not go together with what
// another one was.
func (s *Server) sound(cfg *config.Config, splits map[config.Key]config.Split) (published, xds.Resources, error) {
	var errs []error
	stay := map[config.Key]bool{}
	for {
		next := published{cfg: cfg, splits: splits, routes: byKey(cfg)}
		if len(stay) > 0 {
			next = s.published.instead(next, stay)
		}
		next.formers = s.published.formers.Next(s.published.routes, next.routes, s.hasOpened)
		resources, _ := s.translator.TranslateMoving(next.cfg, next.splits, next.formers)
		next.formers = resources.Kept
		more := false
		for _, refused := range resources.Refused {
			if !stay[refused.Route] {
				more = true
				errs = append(errs, refused)
			}
		}
		if !more { // what is refused even as it was, is for what replaced it: that goes first
			return next, resources, errors.Join(errs...)
		}
		for _, refused := range resources.Refused {
			stay[refused.Route] = true
		}
	}
}

func byKey(cfg *config.Config) map[config.Key]config.InferenceRoute {
	routes := make(map[config.Key]config.InferenceRoute, len(cfg.Routes))
	for _, r := range cfg.Routes {
		routes[r.Key] = r
	}
	return routes
}

// instead gives next with the inference routes that stay as they were.
func (p published) instead(next published, stay map[config.Key]bool) published {
	mixed := published{cfg: &config.Config{Policies: next.cfg.Policies}, splits: map[config.Key]config.Split{}}
	for _, r := range next.cfg.Routes {
		if !stay[r.Key] {
			mixed.cfg.Routes = append(mixed.cfg.Routes, r)
			mixed.splits[r.Key] = next.splits[r.Key]
		}
	}
	for k := range stay {
		was, known := p.routes[k]
		if !known {
			continue
		}
		mixed.cfg.Routes = append(mixed.cfg.Routes, was)
		mixed.splits[k] = p.splits[k]
		if after := next.splits[k]; onlyTakes(was, next.routes[k], p.splits[k], after) {
			mixed.splits[k] = after
		}
	}
	mixed.routes = byKey(mixed.cfg)
	return mixed
}

// onlyTakes says whether a split that was made for an inference route as it is now does
// nothing to it as it was but take from its candidate, or end its A/B test: users must
// be spared that, whatever else was edited.
func onlyTakes(was, now config.InferenceRoute, before, after config.Split) bool {
	ends := was.Strategy.ABTest != nil && len(after.Shares) == 1
	if was.Strategy.Canary == nil && !ends || after.Mirror.Weight > before.Mirror.Weight {
		return false
	}
	sum := uint64(0)
	for _, share := range after.Shares {
		sum += uint64(share.Weight)
		_, known := was.Version(share.Version)
		candidate := share.Version == was.Target || before.Weight(share.Version) == 0 && share.Version == now.Target
		if grows := after.Weight(share.Version) > before.Weight(share.Version); !known || grows && candidate {
			return false
		}
	}
	return sum == config.WholeSplit
}

// want makes resources what proxies should end up with.
func (s *Server) want(resources xds.Resources) {
	s.mu.Lock()
	s.wanted = resources
	s.carry(resources)
	s.mu.Unlock()
	s.rouse()
}

// logUnmirrored logs why mirrors are left out, each once.
func (s *Server) logUnmirrored(list []*xds.RouteError) {
	now := make(map[config.Key]string, len(list))
	for _, e := range list {
		now[e.Route] = e.Error()
		if s.unmirrored[e.Route] != e.Error() {
			s.cfg.Log.Warn("mirror left out", "route", e.Route.String(), "reason", e)
		}
	}
	s.unmirrored = now
}
