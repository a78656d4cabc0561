// Package clients lets other people's clients drive the inference server: the one
// that comes with Triton and the one that comes with KServe, from their packages,
// unchanged. `make clients` installs them. Start reading in drive.py.
package clients

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/e2e/serving"
)

// python has the clients.
const python = "../../../.cache/clients/bin/python"

func TestMain(m *testing.M) {
	code := m.Run()
	serving.Clean()
	os.Exit(code)
}

// result is what a client got.
type result struct {
	Same   map[string]bool // way by way
	Scores []float64       // of two rows
	Errors map[string]string
}

func drive(t *testing.T, client string, r *serving.Replica) result {
	t.Helper()
	_, err := os.Stat(python)
	require.NoError(t, err, "run `make clients`")
	cmd := exec.Command(python, "drive.py", client, r.HTTP, r.GRPC)
	var out, logs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &logs
	require.NoError(t, cmd.Run(), "%s\n%s", &out, &logs)
	var got result
	require.NoError(t, json.Unmarshal(out.Bytes(), &got), out.String())
	return got
}

func TestOtherPeoplesClientsDriveTheServer(t *testing.T) {
	r := serving.Start(t, serving.Magika(t, "v3-2")...)
	triton := drive(t, "triton", r)
	assert.Equal(t, map[string]bool{
		"triton http": true, "triton http output": true, "triton http json": true, "triton http async": true,
		"triton grpc": true, "triton grpc output": true, "triton grpc stream": true, "triton grpc async": true,
	}, triton.Same, "every way gives the same scores")
	assert.Equal(t, map[string]string{
		"triton http shape": `400: input "bytes": shape is [-1,2048], found [1,2047]`,
		"triton http model": `404: model "absent": not found, this server has "magika"`,
		"triton grpc shape": `StatusCode.INVALID_ARGUMENT: input "bytes": shape is [-1,2048], found [1,2047]`,
		"triton grpc model": `StatusCode.NOT_FOUND: model "absent": not found, this server has "magika"`,
	}, triton.Errors)

	kserve := drive(t, "kserve", r)
	assert.Equal(t, map[string]bool{
		"kserve http binary=True": true, "kserve http binary=False": true,
		"kserve grpc binary=True": true, "kserve grpc binary=False": true,
	}, kserve.Same)
	assert.Len(t, triton.Scores, 2*214)
	assert.InDeltaSlice(t, triton.Scores, kserve.Scores, 1e-4)
}
