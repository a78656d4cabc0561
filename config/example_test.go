package config_test

import (
	"fmt"

	"github.com/sluice-dev/sluice/config"
)

const manifest = `
apiVersion: sluice.dev/v1alpha1
kind: InferenceRoute
metadata: {name: filetype, namespace: ml}
spec:
  listener: {port: 8080}
  versions:
    - {name: v3-2, endpoints: ["127.0.0.1:8002"]}
    - {name: v3-3, endpoints: ["127.0.0.1:8003"]}
  target: v3-3
  initialStable: v3-2
  strategy:
    canary:
      steps: [{weight: 5%}, {weight: 25%, for: 2m}]
`

func ExampleParse() {
	c, err := config.Parse(config.Document{Name: "filetype.yaml", Data: []byte(manifest)})
	if err != nil {
		fmt.Println(err)
		return
	}
	route := c.Routes[0]
	fmt.Println(route.Key, "on", route.Listener, "moves to", route.Target)
	for _, step := range route.Strategy.Canary.Steps {
		fmt.Println(step.Weight, step.For)
	}
	// Output:
	// ml/filetype on 127.0.0.1:8080 moves to v3-3
	// 5% 0s
	// 25% 2m
}

func ExampleAdvise() {
	c, err := config.Parse(config.Document{Name: "filetype.yaml", Data: []byte(manifest)})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, advice := range config.Advise(c) {
		fmt.Println(advice.Path)
	}
	// Output:
	// spec.mirroring
	// spec.versions[1].endpoints
	// spec.versions[1].endpoints
}
