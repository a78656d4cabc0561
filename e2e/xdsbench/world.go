package main

import (
	"fmt"

	routepb "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
)

// world is what all servers serve: one small route table per hostname.
type world struct {
	cfg    *config.Config
	edited config.Key
	all    bool // proxies hold more than the tables
}

func newWorld(routes int) world {
	w := world{cfg: &config.Config{}}
	for i := range routes {
		w.cfg.Routes = append(w.cfg.Routes, config.InferenceRoute{
			Key: config.Key{Namespace: "ml", Name: fmt.Sprintf("model-%03d", i)},
			RouteSpec: config.RouteSpec{
				Hostnames: []string{fmt.Sprintf("model-%03d.ml", i)},
				Listener:  config.Listener{Port: 8080},
				Versions: []config.Version{
					{Name: "v1", Endpoints: []string{"127.0.0.1:8001"}},
					{Name: "v2", Endpoints: []string{"127.0.0.1:8002"}},
				},
			},
		})
	}
	w.edited = w.cfg.Routes[routes/2].Key
	return w
}

// splits gives each edit another weight. Edit 0 is the beginning.
func (w world) splits(edit int) map[config.Key]config.Split {
	splits := make(map[config.Key]config.Split, len(w.cfg.Routes))
	for _, r := range w.cfg.Routes {
		splits[r.Key] = config.Split{Epoch: 1, Shares: config.Carve("v1", "v2", 500, 4000)}
	}
	splits[w.edited] = config.Split{Epoch: uint64(edit) + 1, Shares: config.Carve("v1", "v2", 500+uint32(edit)%5000, 4000)}
	return splits
}

// table is where the edited inference route is.
func (w world) table() string { return tableOf(w.edited) }

func (w world) tables() []string {
	var names []string
	for _, r := range w.cfg.Routes {
		names = append(names, tableOf(r.Key))
	}
	return names
}

func tableOf(k config.Key) string { return k.Name + ".ml:8080" }

// messages gives the route tables of an edit, by name, for servers that do not
// translate themselves.
func (w world) messages(edit int) (map[string]*routepb.RouteConfiguration, error) {
	resources, err := xds.Translate(w.cfg, w.splits(edit))
	if err != nil {
		return nil, err
	}
	tables := make(map[string]*routepb.RouteConfiguration, len(resources.Routes))
	for _, r := range resources.Routes {
		m := &routepb.RouteConfiguration{}
		if err := proto.Unmarshal(r.Body, m); err != nil {
			return nil, err
		}
		tables[r.Name] = m
	}
	return tables, nil
}

// weigh gives m, the edited table, the weights and the epoch of an edit.
func (w world) weigh(m *routepb.RouteConfiguration, edit int) *routepb.RouteConfiguration {
	m = proto.CloneOf(m)
	split := w.splits(edit)[w.edited]
	for _, host := range m.GetVirtualHosts() {
		for _, r := range host.GetRoutes() {
			r.Name = fmt.Sprintf("%s@%d", w.edited, split.Epoch)
			for i, c := range r.GetRoute().GetWeightedClusters().GetClusters() {
				c.Weight.Value = split.Shares[i].Weight
			}
		}
	}
	return m
}
