package xds

import (
	"reflect"
	"slices"

	"github.com/sluice-dev/sluice/config"
)

// Translator is Translate with a memory of the call before: what depends on
// nothing that changed is not built, checked and encoded again. So a change of one
// weight costs one small table, however many there are. The zero value is ready.
// Not safe for concurrent use.
type Translator struct {
	backends  memo[backendsInput, backends]
	tables    memo[table, tableOutput]
	scopes    memo[scopesInput, resources]
	listeners memo[listenerInput, resources]
}

// Translate gives what the function Translate does, byte for byte. What cfg and
// splits hold must not be written to afterwards: it is compared with what comes
// next.
func (t *Translator) Translate(cfg *config.Config, splits map[config.Key]config.Split) (Resources, error) {
	return t.TranslateMoving(cfg, splits, nil)
}

// sound assembles those of intents that go together, and gives them, and what was
// refused of the others.
func (t *Translator) sound(intents []intent, refused []*RouteError) (Resources, []intent, []*RouteError) {
	for {
		resources, bad := t.assemble(intents)
		if len(bad) == 0 {
			return resources, intents, refused
		}
		refused = append(refused, bad...)
		intents = slices.DeleteFunc(intents, func(in intent) bool { return blames(bad, in.Key) })
	}
}

// turn forgets what this call had no use for.
func (t *Translator) turn() {
	t.backends.turn()
	t.tables.turn()
	t.scopes.turn()
	t.listeners.turn()
}

// memo holds what was built from which input, by name.
type memo[I, O any] struct {
	now, before map[string]built[I, O]
}

type built[I, O any] struct {
	input  I
	output O
}

// of builds, unless the same was built in this call or the one before. Slices and
// maps that both inputs share are not walked through.
func (m *memo[I, O]) of(name string, input I, build func() O) O {
	if m.now == nil {
		m.now = make(map[string]built[I, O], len(m.before))
	}
	for _, known := range []map[string]built[I, O]{m.now, m.before} {
		if b, ok := known[name]; ok && reflect.DeepEqual(b.input, input) {
			m.now[name] = built[I, O]{input, b.output} // not to keep what the other came from
			return b.output
		}
	}
	b := built[I, O]{input, build()}
	m.now[name] = b
	return b.output
}

func (m *memo[I, O]) turn() { m.before, m.now = m.now, nil }

// What is remembered, and all that it depends on.
type (
	backendsInput struct {
		key      config.Key
		protocol config.Protocol
		versions []config.Version
		protect  config.Protect
		target   string // only where it is protected
		bodies   bool
	}
	backends struct {
		clusters, endpoints []Resource
		err                 error
	}
	tableOutput struct {
		resource Resource
		bad      []*RouteError
	}
	scopesInput struct {
		port  uint32
		table string
		hosts []string
	}
	listenerInput struct {
		port    uint32
		address string
		scoped  bool
		models  bool
		cookies bool
		tables  []string
	}
	resources struct {
		list []Resource
		err  error
	}
)

func (t *Translator) backendsOf(in intent) ([]Resource, []Resource, error) {
	input := backendsInput{key: in.Key, protocol: in.Protocol, versions: in.Versions, protect: in.Protect, bodies: in.bodies()}
	if in.Protect.RetryOnStable != nil {
		input.target = in.Target
	}
	b := t.backends.of(in.Key.String(), input, func() (b backends) {
		b.clusters, b.endpoints, b.err = backendsOf(in)
		return b
	})
	return b.clusters, b.endpoints, b.err
}

func (t *Translator) table(one table) (Resource, []*RouteError) {
	out := t.tables.of(one.name, one, func() (out tableOutput) {
		out.resource, out.bad = one.resource()
		return out
	})
	return out.resource, out.bad
}

// scopesOf gives the scopes that lead to the tables of a port.
func (t *Translator) scopesOf(p port, tables []table) ([]Resource, error) {
	if !p.scoped {
		return nil, nil
	}
	var scopes []Resource
	for _, one := range tables {
		out := t.scopes.of(one.name, scopesInput{p.number, one.name, one.hosts}, func() (r resources) {
			r.list, r.err = one.scopes(p.number)
			return r
		})
		if out.err != nil {
			return nil, out.err
		}
		scopes = append(scopes, out.list...)
	}
	return scopes, nil
}

func (t *Translator) listener(p port, tables []table) (Resource, error) {
	names := make([]string, len(tables))
	for i, one := range tables {
		names[i] = one.name
	}
	slices.Sort(names)
	input := listenerInput{p.number, p.routes[0].Listener.Address, p.scoped, p.models(), p.cookies(), names}
	out := t.listeners.of(ListenerName(p.number), input, func() resources {
		r, err := p.listener(names)
		return resources{[]Resource{r}, err}
	})
	return out.list[0], out.err
}
