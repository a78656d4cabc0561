package main

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func put(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func hexOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func TestWeightsBesideAModelAreOfIt(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.onnx")
	put(t, path, "graph")
	put(t, path+".data", "weights")
	f := flags{modelPath: path}
	models, err := f.findModels()
	require.NoError(t, err)
	m := models[0]
	assert.EqualValues(t, len("graphweights"), m.size)
	require.NoError(t, m.verify(hexOf("graphweights")), "without the algorithm's name")
	assert.NoError(t, m.verify("sha256:"+strings.ToUpper(hexOf("graphweights"))))
	assert.ErrorContains(t, m.verify(hexOf("graph")), "by --model-digest, found sha256:"+hexOf("graphweights"))
	put(t, path+".data.sha256", hexOf("others")+"  m.onnx.data\n")
	assert.ErrorContains(t, m.verify(""), "m.onnx.data: digest is sha256:"+hexOf("others"))
}

func TestAFolderGivesItsVersionsTheHighestFirst(t *testing.T) {
	dir := t.TempDir()
	for _, v := range []string{"2", "10", "9", "x", "01"} {
		put(t, filepath.Join(dir, v, modelFile), v)
	}
	f := flags{modelPath: dir}
	models, err := f.findModels()
	require.NoError(t, err)
	var versions []string
	for _, m := range models {
		versions = append(versions, m.version)
	}
	assert.Equal(t, []string{"10", "9", "2"}, versions)

	put(t, filepath.Join(dir, "10", modelFile+".sha256"), hexOf("10"))
	again, err := f.findModels()
	require.NoError(t, err)
	assert.NotEqual(t, models[0], again[0], "a digest that was mended is a change")

	f.digest = hexOf("10")
	_, err = f.findModels()
	assert.EqualError(t, err, "--model-digest: of one model, so a folder needs --model-version")
}

func TestPagesThatTheKernelMayDropAreFree(t *testing.T) {
	assert.EqualValues(t, 4096, inactive("anon 1\ninactive_anon 7\ninactive_file 4096\nactive_file 3\n"))
	assert.Zero(t, inactive(""))
}
