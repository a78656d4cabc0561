package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const tenMistakes = `apiVersion: sluice.dev/v1beta1
kind: InferenceRoute
metadata: {name: File_Type}
spec:
  hostnames: [filetype.ml:8080]
  listener: {port: 0}
  protocoll: http
  timeouts: {request: 0s}
  versions:
    - name: v1
      endpoints: ["127.0.0.1:8001"]
    - name: v2
      endpoints: ["127.0.0.1:8001"]
      model: {digest: "sha256:1234"}
  target: v3
  initialStable: v1
  strategy:
    canary:
      steps:
        - {weight: 5x}
        - {approve: {}, for: 1m}
        - {weight: 50%}
        - {weight: 25%}
`

func TestTenMistakesGiveTenMessages(t *testing.T) {
	c, err := Parse(Document{Name: "routes.yaml", Data: []byte(tenMistakes)})

	require.Nil(t, c)
	t.Log("\n" + err.Error())
	var mistakes Mistakes
	require.ErrorAs(t, err, &mistakes)
	require.Len(t, mistakes, 12)
}
