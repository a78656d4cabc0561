package xds

import (
	"maps"
	"slices"

	"github.com/sluice-dev/sluice/config"
)

// Former is how requests came to an inference route before it moved to another
// port. While proxies are not known to listen on the new one, which may be taken,
// they are led there as before, under the split now in force.
type Former struct {
	Listener config.Listener `json:"listener"`
	// What that listener can tell apart.
	Hostnames  []string           `json:"hostnames,omitempty"`
	Matches    []config.Match     `json:"matches,omitempty"`
	Stickiness *config.Stickiness `json:"stickiness,omitempty"`

	// Closed says that nobody listens there any more. Connections that are open yet
	// are still led.
	Closed bool `json:"-"`
}

func formerOf(r config.InferenceRoute) Former {
	return Former{Listener: r.Listener, Hostnames: r.Hostnames, Matches: r.Matches, Stickiness: r.Stickiness}
}

// Formers are the former ports of inference routes that move, the oldest first.
type Formers map[config.Key][]Former

// Next gives the formers once now has replaced before. A port that is wanted again
// is none, nor is one that opened says no proxy has listened on.
func (f Formers) Next(before, now map[config.Key]config.InferenceRoute, opened func(port uint32) bool) Formers {
	next := Formers{}
	for k, route := range now {
		list := f[k]
		was, known := before[k]
		if len(list) == 0 && was.Listener.Port == route.Listener.Port {
			continue
		}
		if known {
			list = slices.DeleteFunc(slices.Clone(list), func(o Former) bool { return o.Listener.Port == was.Listener.Port })
			list = append(list, formerOf(was))
		}
		list = slices.DeleteFunc(slices.Clone(list), func(o Former) bool {
			return o.Listener.Port == route.Listener.Port || !o.Closed && !opened(o.Listener.Port)
		})
		if len(list) > 0 {
			next[k] = list
		}
	}
	return next
}

// Close gives the formers once proxies listen on the new port of an inference
// route.
func (f Formers) Close(k config.Key) Formers {
	next := maps.Clone(f)
	next[k] = slices.Clone(f[k])
	for i := range next[k] {
		next[k][i].Closed = true
	}
	return next
}

// Drop gives the formers once the connections to those of an inference route that
// were closed have drained.
func (f Formers) Drop(k config.Key) Formers {
	next := maps.Clone(f)
	next[k] = slices.DeleteFunc(slices.Clone(f[k]), func(o Former) bool { return o.Closed })
	if len(next[k]) == 0 {
		delete(next, k)
	}
	return next
}

// Where gives every port at which proxies listen for the inference routes now,
// former ones for whoever starts again and finds those proxies.
func (f Formers) Where(now map[config.Key]config.InferenceRoute, opened func(port uint32) bool) Formers {
	where := Formers{}
	for k, route := range now {
		list := slices.DeleteFunc(slices.Clone(f[k]), func(o Former) bool { return o.Closed })
		if opened(route.Listener.Port) {
			list = append(list, formerOf(route))
		}
		if len(list) > 0 {
			where[k] = list
		}
	}
	return where
}

// of gives an inference route as its former port can tell its requests apart.
func (f Former) of(route config.InferenceRoute) config.InferenceRoute {
	route.Listener, route.Hostnames, route.Matches, route.Stickiness = f.Listener, f.Hostnames, f.Matches, f.Stickiness
	return route
}

// formerIntents pairs former ports with what intents now say. One that does not fit
// what is said now is left out.
func formerIntents(intents []intent, cfg *config.Config, splits map[config.Key]config.Split, formers Formers) []intent {
	var list []intent
	for _, wanted := range intents {
		for _, f := range formers[wanted.Key] {
			in, err := newIntent(f.of(wanted.InferenceRoute), splits)
			if err != nil {
				continue
			}
			in.segments = segmentsOf(cfg, wanted.InferenceRoute)
			in.former = &f
			list = append(list, in)
		}
	}
	return list
}

// TranslateMoving is Translate with the former ports of inference routes that move.
// What does not go together with what is wanted yields to it.
func (t *Translator) TranslateMoving(cfg *config.Config, splits map[config.Key]config.Split, formers Formers) (Resources, error) {
	intents, refused := readIntents(cfg, splits)
	defer t.turn()
	resources, intents, refused := t.sound(intents, refused)
	if list := formerIntents(intents, cfg, splits, formers); len(list) > 0 {
		resources = t.lead(resources, intents, list)
	}
	return finish(resources, refused)
}

// lead adds the former ports that go together with intents, whose resources are given:
// all of them, or else each that does with those before it.
func (t *Translator) lead(resources Resources, intents, formers []intent) Resources {
	if with, bad := t.assemble(inOrder(intents, formers...)); len(bad) == 0 {
		return with
	}
	for _, in := range formers {
		more := inOrder(intents, in)
		if with, bad := t.assemble(more); len(bad) == 0 {
			resources, intents = with, more
		}
	}
	return resources
}

func inOrder(intents []intent, more ...intent) []intent {
	all := slices.Concat(intents, more)
	slices.SortStableFunc(all, func(a, b intent) int { return a.Key.Compare(b.Key) })
	return all
}
