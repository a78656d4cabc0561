package main_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/e2e/await"
)

func predictArgs(model, in, out string) []string {
	return []string{"predict", "--model-path", model, "--model-name", "m", "--input", in, "--output", out}
}

func TestPredictGoesOnAfterAnyEnd(t *testing.T) {
	dir, path := t.TempDir(), echo(t)
	in, pipe, out := filepath.Join(dir, "in"), filepath.Join(dir, "pipe"), filepath.Join(dir, "out")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	var lines []string
	for i := range 200 {
		text := fmt.Sprintf(`{"id":"%d","inputs":[{"name":"x","datatype":"INT64","shape":[1,1],"data":[%d]}]}`+"\n", i, i)
		if i%2 == 1 {
			text = "bad\n"
		}
		lines = append(lines, text)
	}
	require.NoError(t, os.WriteFile(in, []byte(strings.Join(lines, "")), 0o600))
	for _, end := range []struct {
		after  int
		signal syscall.Signal
	}{{0, syscall.SIGTERM}, {7, syscall.SIGTERM}, {30, syscall.SIGKILL}, {60, syscall.SIGTERM}, {110, syscall.SIGKILL}, {170, syscall.SIGTERM}} {
		cmd := command(t, predictArgs(path, pipe, out)...)
		var logs bytes.Buffer
		cmd.Stderr = &logs
		require.NoError(t, cmd.Start())
		file, err := os.OpenFile(pipe, os.O_WRONLY, 0) // opens once the command reads
		require.NoError(t, err)
		_, err = file.WriteString(strings.Join(lines[:end.after], ""))
		require.NoError(t, err)
		require.NoError(t, cmd.Process.Signal(end.signal))
		require.Error(t, cmd.Wait(), "what is left undone is no success")
		require.NoError(t, file.Close())
		if end.signal == syscall.SIGTERM {
			assert.Contains(t, logs.String(), "interrupted; "+out+" has the answers of ")
		}
	}
	logs, err := command(t, predictArgs(path, in, out)...).CombinedOutput()
	require.NoError(t, err, string(logs))
	text, err := os.ReadFile(out)
	require.NoError(t, err)
	got := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	require.Len(t, got, len(lines))
	for i, line := range got {
		if i%2 == 1 {
			assert.Contains(t, line, `{"error":"body: `)
		} else {
			assert.Contains(t, line, fmt.Sprintf(`"id":"%d"`, i))
		}
	}
}

func TestPredictLeavesWhatIsNotItsOwnAlone(t *testing.T) {
	dir, path := t.TempDir(), echo(t)
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return file
	}
	in := write("in", "bad\n")
	for _, test := range []struct{ name, text, want string }{
		{"another's line", `{"a":1}` + "\n", `line 1: an answer of model "m", found "{\"a\":1}\n"`},
		{"another's text without an end", `{"a":1}`, `line 1: an answer of model "m", found "{\"a\":1}"`},
		{"another model's answers", `{"model_name":"m2","outputs":[]}` + "\n", `line 1: an answer of model "m"`},
		{"more lines than the input", "{\"error\":\"x\"}\n{\"error\":\"y\"}\n{\"err", "2 lines, but --input has fewer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := write("out", test.text)
			logs, err := command(t, predictArgs(path, in, file)...).CombinedOutput()
			require.Error(t, err)
			assert.Contains(t, string(logs), "--output: "+file+": "+test.want)
			kept, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Equal(t, test.text, string(kept))
		})
	}
	logs, err := command(t, predictArgs(path, in, in)...).CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(logs), "--output: "+in+": the same file as --input")
}

func TestTwoPredictsDoNotWriteOneFile(t *testing.T) {
	dir, path := t.TempDir(), echo(t)
	pipe, out := filepath.Join(dir, "pipe"), filepath.Join(dir, "out")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	first := begin(t, predictArgs(path, pipe, out)...)
	file, err := os.OpenFile(pipe, os.O_WRONLY, 0)
	require.NoError(t, err)
	first.await("begins")
	logs, err := command(t, predictArgs(path, os.DevNull, out)...).CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(logs), fmt.Sprintf("--output: %s: process %d writes it", out, first.cmd.Process.Pid))
	require.NoError(t, file.Close())
	assert.NoError(t, await.Next(t, first.exited, "the exit"))
}

func TestADeadlineThatCannotBeMetIsItsLinesError(t *testing.T) {
	dir, path := t.TempDir(), echo(t)
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	line := `{"parameters":{"timeout":1},"inputs":[{"name":"x","datatype":"INT64","shape":[1,1],"data":[1]}]}` + "\n"
	require.NoError(t, os.WriteFile(in, []byte(line+strings.Replace(line, `"timeout":1`, `"timeout":60000000`, 1)), 0o600))
	logs, err := command(t, predictArgs(path, in, out)...).CombinedOutput()
	require.NoError(t, err, string(logs))
	text, err := os.ReadFile(out)
	require.NoError(t, err)
	assert.Regexp(t, `^\{"error":"deadline `, string(text))
	assert.Contains(t, string(text), "\n"+`{"model_name":"m"`)
}

func TestAServerThatIsGoneIsNoLinesError(t *testing.T) {
	t.Parallel()
	server := startPath(t, echo(t))
	dir := t.TempDir()
	pipe, out := filepath.Join(dir, "pipe"), filepath.Join(dir, "out")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	p := begin(t, "predict", "--remote", server.url, "--remote-model", "magika", "--model-name", "m", "--input", pipe, "--output", out)
	file, err := os.OpenFile(pipe, os.O_WRONLY, 0)
	require.NoError(t, err)
	p.await("ready")
	require.NoError(t, server.cmd.Process.Kill())
	await.Next(t, server.exited, "the server's exit")
	_, err = file.WriteString(`{"inputs":[{"name":"x","datatype":"INT64","shape":[1,1],"data":[1]}]}` + "\n")
	require.NoError(t, err)
	assert.Error(t, await.Next(t, p.exited, "the exit"))
	require.NoError(t, file.Close())
	text, err := os.ReadFile(out)
	require.NoError(t, err)
	assert.Empty(t, string(text))
}
