package main_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/e2e/await"
	"github.com/sluice-dev/sluice/e2e/parts"
	"github.com/sluice-dev/sluice/serving"
	"github.com/sluice-dev/sluice/serving/backend/remote"
	"github.com/sluice-dev/sluice/serving/magika"
)

const samples = "../../serving/magika/testdata"

func configOf(t *testing.T, version string) *magika.Config {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(parts.Magika(t, version), "config.min.json"))
	require.NoError(t, err)
	c, err := magika.Parse(text)
	require.NoError(t, err)
	return c
}

// body is the request for one file.
func body(t *testing.T, c *magika.Config, content []byte) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{"inputs": []any{map[string]any{
		"name": "bytes", "datatype": "INT32", "shape": []int{1, c.Size()}, "data": c.Features(content),
	}}})
	require.NoError(t, err)
	return text
}

type answer struct {
	Version string `json:"model_version"` //nolint:tagliatelle // the protocol's name
	Outputs []struct {
		Data []float32 `json:"data"`
	} `json:"outputs"`
}

// infer posts a request and gives the answer of a 200.
func infer(client *http.Client, url string, body []byte) (*answer, error) {
	r, err := client.Post(url+"/v2/models/magika/infer", "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		return nil, errors.Join(err, fmt.Errorf("status %d: %s", r.StatusCode, text))
	}
	var a answer
	return &a, json.Unmarshal(text, &a)
}

func TestTwoVersionsLabelRealFiles(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(samples, "golden.json"))
	require.NoError(t, err)
	var golden map[string]struct{ Label string }
	require.NoError(t, json.Unmarshal(text, &golden))
	require.NotEmpty(t, golden)
	for _, version := range []string{"v3-2", "v3-3"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			p, config := start(t, version), configOf(t, version)
			for file, want := range golden {
				content, err := os.ReadFile(filepath.Join(samples, file))
				require.NoError(t, err)
				a, err := infer(http.DefaultClient, p.url, body(t, config, content))
				require.NoError(t, err)
				assert.Equal(t, version, a.Version)
				assert.Equal(t, want.Label, config.Label(a.Outputs[0].Data), file)
			}
			code, text := p.get("/v2/models/magika/versions/" + version)
			assert.Equal(t, http.StatusOK, code)
			assert.Contains(t, text, `"shape":[-1,2048]`)
			_, text = p.get("/metrics")
			assert.Contains(t, text, fmt.Sprintf(`nv_inference_request_success{model="magika",version="%s"} %d`, version, len(golden)))
		})
	}
}

func TestTerminationLosesNoRequest(t *testing.T) {
	p, config := start(t, "v3-3"), configOf(t, "v3-3")
	request := body(t, config, []byte("package main\n\nfunc main() {\n\tprintln(1)\n}\n"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var answered atomic.Int64
	halfway := make(chan struct{})
	var senders sync.WaitGroup
	for range 4 {
		senders.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for ctx.Err() == nil { // as a proxy would: until readiness is seen to be gone
				if _, err := infer(client, p.url, request); err != nil {
					assert.NoError(t, err)
					return
				}
				if answered.Add(1) == 20 {
					close(halfway)
				}
			}
		})
	}
	await.Next(t, halfway, "twenty answers")
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	p.await("draining")
	code, _ := p.get("/v2/health/ready")
	assert.Equal(t, http.StatusServiceUnavailable, code)
	cancel()
	senders.Wait()
	assert.GreaterOrEqual(t, answered.Load(), int64(20))
	assert.NoError(t, await.Next(t, p.exited, "the exit"), "exit code 0")
}

func TestASecondSignalEndsTheDrain(t *testing.T) {
	p := start(t, "v3-2", "--drain-delay", "1h")
	require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
	p.await("draining")
	require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
	assert.ErrorContains(t, await.Next(t, p.exited, "the exit"), "signal: interrupt")
}

func TestInjectedFaultsAreShown(t *testing.T) {
	p, config := start(t, "v3-2", "--inject-fault", "error-rate=1,after-requests=1", "--inject-fault", "crash-after-requests=3"), configOf(t, "v3-2")
	assert.Contains(t, p.history, "faults are injected on purpose")
	_, text := p.get("/v2/models/magika")
	assert.Contains(t, text, `"injected_faults":"error-rate=1,after-requests=1,crash-after-requests=3"`)
	request := body(t, config, []byte("{}"))
	_, err := infer(http.DefaultClient, p.url, request)
	assert.NoError(t, err)
	for range 2 {
		_, err = infer(http.DefaultClient, p.url, request)
		assert.ErrorContains(t, err, "status 500: {\"error\":\"error is injected on purpose\"}")
	}
	_, err = infer(http.DefaultClient, p.url, request)
	assert.Error(t, err, "the process is gone")
	var exit *exec.ExitError
	require.ErrorAs(t, await.Next(t, p.exited, "the exit"), &exit)
	assert.Equal(t, 3, exit.ExitCode())
}

func TestCommandLineMistakesAreNamed(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want []string
	}{
		{"all at once", []string{"--model-path", "x", "--max-batch", "0"}, []string{"--model-name: missing", "--max-batch: positive, found 0"}},
		{"an absent library", []string{"--model-path", "x", "--model-name", "m", "--onnxruntime-library", "absent.so"}, []string{"ONNX Runtime library: stat absent.so: no such file or directory"}},
		{"a library that is none", []string{"--model-path", "x", "--model-name", "m", "--onnxruntime-library", "main.go"}, []string{"ONNX Runtime library: main.go: ", "(at least version 1.24 is needed)"}},
		{"a library without the provider", []string{"--model-path", model(t, "v3-2"), "--model-name", "m", "--provider", "cuda"}, []string{"model.onnx: provider cuda: "}},
		{"an absent model", []string{"--model-path", "absent.onnx", "--model-name", "m"}, []string{"model: stat absent.onnx: no such file or directory"}},
		{"a fault that is none", []string{"--model-path", model(t, "v3-2"), "--model-name", "m", "--inject-fault", "slow=1"}, []string{`--inject-fault: fault "slow=1": key is one of`}},
		{"a model that does not fit", []string{"--model-path", model(t, "v3-2"), "--model-name", "m", "--memory-limit", "1000000"}, []string{"model.onnx: ", " bytes do not fit, ", " of 1000000 are used"}},
		{"shapes that are none", []string{"--model-path", model(t, "v3-2"), "--model-name", "m", "--pad", "bytes:1", "--pad", "bytes:1=many", "--crop", "x:1=y"}, []string{
			"--pad bytes:1: as in ids:1=32,64,128", `--pad bytes:1=many: size: a whole number, found "many"`, `--crop x:1=y: a name and a dimension as ids:1, found "y"`,
		}},
		{"a dimension that nobody chooses", []string{"--model-path", model(t, "v3-2"), "--model-name", "m", "--http-address", "127.0.0.1:0", "--pad", "bytes:1=4096"}, []string{"pad bytes:1: dimension 1 is not one that requests choose, found shape [-1,2048]"}},
		{"authorities without a certificate", []string{"--model-path", model(t, "v3-2"), "--model-name", "m", "--tls-client-ca", "ca.crt"}, []string{"--tls-cert and --tls-key: both or neither, and both for --tls-client-ca"}},
		{"a capacity below the batch", []string{"--model-path", model(t, "v3-2"), "--model-name", "m", "--http-address", "127.0.0.1:0", "--queue-capacity", "4"}, []string{"queue capacity: less than the max batch of 8, found 4"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			out, err := command(t, test.args...).CombinedOutput()
			require.Error(t, err)
			for _, want := range test.want {
				assert.Contains(t, string(out), want)
			}
		})
	}
}

func TestGRPCBesideREST(t *testing.T) {
	file := filepath.Join(t.TempDir(), "grpc")
	start(t, "v3-2", "--grpc-address", "127.0.0.1:0", "--grpc-address-file", file)
	address, err := os.ReadFile(file)
	require.NoError(t, err)
	m, err := remote.Open(t.Context(), remote.Config{URL: "grpc://" + strings.TrimSpace(string(address)), Model: "magika"})
	require.NoError(t, err)
	defer m.Close()
	c := configOf(t, "v3-2")
	var data []byte
	for _, v := range c.Features([]byte("package main\n\nfunc main() {\n\tprintln(1)\n}\n")) {
		data = binary.LittleEndian.AppendUint32(data, uint32(v))
	}
	out, err := m.Run(t.Context(), 0, []serving.Tensor{{Name: "bytes", Datatype: serving.Int32, Shape: serving.Shape{1, 2048}, Data: data}})
	require.NoError(t, err)
	assert.Equal(t, serving.Shape{1, 214}, out[0].Shape)

	// Another server in front of the first, batching for it.
	front := startRemote(t, "grpc://"+strings.TrimSpace(string(address)))
	a, err := infer(http.DefaultClient, front.url, body(t, c, []byte("{}")))
	require.NoError(t, err)
	assert.Len(t, a.Outputs[0].Data, 214)
}

func TestAHigherVersionIsServedOnceItIsWarm(t *testing.T) {
	dir := t.TempDir()
	put := func(version, from, digest string) {
		tmp := filepath.Join(t.TempDir(), version)
		require.NoError(t, os.MkdirAll(tmp, 0o755))
		text, err := os.ReadFile(model(t, from))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(tmp, "model.onnx"), text, 0o644))
		if digest != "" {
			require.NoError(t, os.WriteFile(filepath.Join(tmp, "model.onnx.sha256"), []byte(digest+"  model.onnx\n"), 0o644))
		}
		require.NoError(t, os.Rename(tmp, filepath.Join(dir, version)))
	}
	put("1", "v3-2", "")
	put("3", "v3-3", "00")
	p := startPath(t, dir, "--reload-interval", "100ms")
	c := configOf(t, "v3-2")
	ask := func() string {
		a, err := infer(http.DefaultClient, p.url, body(t, c, []byte("{}")))
		require.NoError(t, err)
		return a.Version
	}
	assert.Contains(t, p.history, "version is not served", "a wrong digest of the highest does not keep the others back")
	assert.Equal(t, "1", ask())
	put("10", "v3-3", "")
	p.await("swapped")
	assert.Equal(t, "10", ask())
	_, text := p.get("/v2/models/magika")
	assert.Contains(t, text, `"digest":"sha256:`)
	_, text = p.get("/metrics")
	assert.Contains(t, text, `nv_inference_request_success{model="magika",version="1"} 1`)
	assert.Contains(t, text, `nv_inference_request_success{model="magika",version="10"} 1`)
}

func TestPredictAnswersEveryLineOnce(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.jsonl"), filepath.Join(dir, "out.jsonl")
	c := configOf(t, "v3-2")
	var lines bytes.Buffer
	for i := range 40 {
		if i == 7 {
			lines.WriteString("no request\n")
			continue
		}
		lines.Write(body(t, c, fmt.Appendf(nil, "{\"n\": %d}\n", i)))
		lines.WriteByte('\n')
	}
	require.NoError(t, os.WriteFile(in, lines.Bytes(), 0o644))
	predict := func() string {
		cmd := command(t, "predict", "--model-path", model(t, "v3-2"), "--model-name", "magika", "--input", in, "--output", out)
		logs, err := cmd.CombinedOutput()
		require.NoError(t, err, string(logs))
		return string(logs)
	}
	logs := predict()
	assert.Contains(t, logs, `"lines":40,"errors":1`)
	whole, err := os.ReadFile(out)
	require.NoError(t, err)
	got := strings.Split(strings.TrimSuffix(string(whole), "\n"), "\n")
	require.Len(t, got, 40)
	assert.Contains(t, got[7], `{"error":"body: `)
	assert.Contains(t, got[8], `"model_name":"magika"`)

	// A crash in the middle of a line.
	require.NoError(t, os.Truncate(out, int64(len(strings.Join(got[:30], "\n"))+20)))
	logs = predict()
	assert.Contains(t, logs, `"lines_done_before":30`)
	assert.Contains(t, logs, `"lines":10,"errors":0`)
	again, err := os.ReadFile(out)
	require.NoError(t, err)
	assert.Len(t, strings.Split(strings.TrimSuffix(string(again), "\n"), "\n"), 40)
	assert.Equal(t, got[:30], strings.Split(string(again), "\n")[:30])
	assert.Contains(t, predict(), `"lines_done_before":40`, "and a third run has nothing to do")
}

func TestHelpTeaches(t *testing.T) {
	out, err := command(t, "--help").CombinedOutput()
	require.NoError(t, err)
	for _, want := range []string{"curl -s localhost:8000/v2/models/filetype", "--inject-fault", "--drain-delay", "SIGTERM"} {
		assert.Contains(t, string(out), want)
	}
}
