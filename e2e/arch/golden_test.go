package arch

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMakeGoldenRunsEveryTestThatWritesGoldenFiles(t *testing.T) {
	cmd := exec.Command("make", "--no-print-directory", "-C", "../..", "-n", "golden")
	said, err := cmd.CombinedOutput()
	require.NoError(t, err, string(said))
	require.NotContains(t, string(said), "-run", "a name is forgotten")
	root := os.DirFS("../..")
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case !strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if bytes.Contains(text, []byte(`Getenv("UPDATE_GOLDEN"`)) {
			require.Contains(t, string(said), " ./"+path.Dir(name)+"/")
		}
		return err
	})
	require.NoError(t, err)
}
