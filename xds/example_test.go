package xds_test

import (
	"fmt"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds"
)

func ExampleTranslate() {
	filetype := config.Key{Namespace: "ml", Name: "filetype"}
	cfg := &config.Config{Routes: []config.InferenceRoute{{Key: filetype, RouteSpec: config.RouteSpec{
		Hostnames: []string{"filetype.ml"},
		Listener:  config.Listener{Port: 8080},
		Versions: []config.Version{
			{Name: "v3-2", Endpoints: []string{"127.0.0.1:8001"}},
			{Name: "v3-3", Endpoints: []string{"127.0.0.1:8002"}},
		},
	}}}}
	resources, err := xds.Translate(cfg, map[config.Key]config.Split{
		filetype: {Epoch: 17, Shares: config.Carve("v3-2", "v3-3", 500, 0)},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, list := range [][]xds.Resource{resources.Clusters, resources.Routes, resources.Scopes, resources.Listeners} {
		for _, r := range list {
			fmt.Println(r.Name)
		}
	}
	// Output:
	// ml/filetype/v3-2
	// ml/filetype/v3-3
	// filetype.ml:8080
	// 8080/filetype.ml
	// table/filetype.ml:8080
	// sluice-8080
}
