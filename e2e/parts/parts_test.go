package parts

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const variable = "SLUICE_TEST_PART"

// clone makes a module with one fetched part and a package two folders down.
func clone(t *testing.T) (root, pkg string) {
	t.Helper()
	root = t.TempDir()
	pkg = filepath.Join(root, "e2e", "envoy")
	require.NoError(t, os.MkdirAll(pkg, 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(root, ".cache", "parts", "envoy"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "go.mod"), nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(root, ".cache", "parts", "envoy", "envoy"), nil, 0o700))
	return root, pkg
}

func TestAPartIsFoundFromAnyPackageOfTheModule(t *testing.T) {
	root, pkg := clone(t)
	t.Setenv(variable, "")
	path, err := find(pkg, variable, "envoy/envoy")
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(root, ".cache", "parts", "envoy", "envoy"), path)
}

func TestAPartOfOnesOwnComesFirst(t *testing.T) {
	_, pkg := clone(t)
	own := filepath.Join(t.TempDir(), "envoy")
	require.NoError(t, os.WriteFile(own, nil, 0o700))
	t.Setenv(variable, own)
	path, err := find(pkg, variable, "envoy/envoy")
	require.NoError(t, err)
	assert.Equal(t, own, path)
}

func TestAPartOfOnesOwnThatIsMissingIsNotReplaced(t *testing.T) {
	_, pkg := clone(t)
	t.Setenv(variable, filepath.Join(t.TempDir(), "nowhere"))
	_, err := find(pkg, variable, "envoy/envoy")
	require.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, "$"+variable)
}

func TestAMissingPartSaysHowToFetchIt(t *testing.T) {
	_, pkg := clone(t)
	_, err := find(pkg, "", "magika/v3-2")
	require.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, "magika/v3-2 is not there: run `make parts`")
}

func TestTheFetchedPartsAreHere(t *testing.T) {
	for _, path := range []string{Envoy(t), ONNXRuntime(t), Magika(t, "v3-2"), Magika(t, "v3-3")} {
		assert.FileExists(t, path+suffix(path))
	}
}

// suffix completes a model's folder to a file in it.
func suffix(path string) string {
	if filepath.Base(filepath.Dir(path)) == "magika" {
		return "/model.onnx"
	}
	return ""
}
