package plane

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
)

func TestABadEditKeepsTheLastGoodConfiguration(t *testing.T) {
	s := newScene(t, quick, ramp)
	s.load(50)
	good := s.edit("target: v1", "target: v9", "mirroring: Allowed", "mirroring: Perhaps")

	refused := s.until("refusal", func(now controller.Snapshot) bool { return now.Refusal != "" })
	require.Contains(t, refused.Refusal, `found "v9"`)
	require.Contains(t, refused.Refusal, `found "Perhaps"`)
	accepted, ok := refused.Condition(canary.Accepted)
	require.True(t, ok)
	require.Equal(t, canary.False, accepted.Status)
	require.Contains(t, s.sluice("status", key.String()), "v9", "status says so")

	s.replace(good)
	s.until("mended", func(now controller.Snapshot) bool { return now.Refusal == "" })
	s.stopLoad()
	require.Empty(t, s.record.Answers().Failed())
}

func TestARefusalByTheProxyIsShownAndLeavesTrafficAsItWas(t *testing.T) {
	s := newScene(t, quick, ramp)
	s.load(50)
	// Go compiles this expression; Envoy's limit on the size of a program does not
	// let it pass.
	big := "  matches: [{path: {type: RegularExpression, value: \"/(infer|" + strings.Repeat("[a-z]{1,60}", 12) + ")\"}}]\n"
	good := s.edit("  mirroring: Allowed\n", big+"  mirroring: Allowed\n")

	nacked := s.until("the proxy's words", func(now controller.Snapshot) bool { return now.State.Nack != nil })
	require.Contains(t, nacked.State.Nack.Text, "regex")
	require.Contains(t, s.explain(), nacked.State.Nack.Text)
	before := len(s.record.Answers())
	s.waitAnswers(before + 50)
	s.replace(good)
	s.until("taken back", taken)
	s.stopLoad()
	require.Empty(t, s.record.Answers().Failed(), "traffic stayed as it was")
}

func TestTenMistakesGiveTenMessages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ten.yaml")
	require.NoError(t, os.WriteFile(path, []byte(`apiVersion: sluice.dev/v1alpha1
kind: InferenceRoute
metadata: {name: Bad_Name}
spec:
  hostnames: ["*.ml"]
  listener: {port: 99999}
  protocol: smtp
  versions:
    - {name: v1, endpoints: [nowhere]}
    - {name: v1, endpoints: []}
  target: v7
  mirroring: Perhaps
  colour: blue
  strategy:
    canary:
      steps: [{weight: 5x}]
`), 0o644))
	out, err := exec.Command(binary, "lint", "-f", path).CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 5, exit.ExitCode())
	require.GreaterOrEqual(t, strings.Count(string(out), "mistake: "), 10, string(out))
}
