package file_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/config/file"
	"github.com/sluice-dev/sluice/e2e/await"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// route is a manifest of one inference route.
func route(name string, port int) string {
	return fmt.Sprintf(`apiVersion: sluice.dev/v1alpha1
kind: InferenceRoute
metadata: {name: %s}
spec:
  listener: {port: %d}
  versions: [{name: v1, endpoints: ["127.0.0.1:8001"]}]
  strategy: {canary: {steps: [{weight: 5%%}]}}
`, name, port)
}

// write puts a file in its place at once, as editors and kubectl do.
func write(t *testing.T, path, text string) {
	t.Helper()
	temporary := path + ".tmp"
	require.NoError(t, os.WriteFile(temporary, []byte(text), 0o644))
	require.NoError(t, os.Rename(temporary, path))
}

// link puts a symbolic link in place of another at once.
func link(t *testing.T, target, path string) {
	t.Helper()
	temporary := path + "_tmp"
	require.NoError(t, os.Symlink(target, temporary))
	require.NoError(t, os.Rename(temporary, path))
}

// watch runs a source until the test ends and gives its updates.
func watch(t *testing.T, path string) <-chan file.Update {
	t.Helper()
	return watchSettling(t, path, time.Millisecond)
}

// never is how long nothing settles in a test.
const never = time.Hour

func watchSettling(t *testing.T, path string, settle time.Duration) <-chan file.Update {
	t.Helper()
	updates := make(chan file.Update, 100)
	source, err := file.New(file.Config{
		Path:    path,
		Deliver: func(_ context.Context, u file.Update) { updates <- u },
		Settle:  settle,
	})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- source.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		require.ErrorIs(t, await.Next(t, ended, "the end of the watch"), context.Canceled)
	})
	return updates
}

// names lists the inference routes of an update, or what is wrong with it.
func names(u file.Update) string {
	if u.Err != nil {
		return u.Err.Error()
	}
	var names []string
	for _, r := range u.Config.Routes {
		names = append(names, r.Name)
	}
	return strings.Join(names, " ")
}

// next spells the next update.
func next(t *testing.T, updates <-chan file.Update) string {
	t.Helper()
	return names(await.Next(t, updates, "an update"))
}

// until takes updates until one of them is the wanted one.
func until(t *testing.T, updates <-chan file.Update, want string) {
	t.Helper()
	for next(t, updates) != want {
	}
}

func TestAFileIsDeliveredAtOnceAndAfterEveryEdit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "routes.yaml")
	write(t, path, route("a", 1))
	updates := watch(t, path)
	require.Equal(t, "a", next(t, updates))

	write(t, path, route("b", 1))
	require.Equal(t, "b", next(t, updates))

	write(t, path, route("c", 1)+"---\n"+route("d", 2))
	require.Equal(t, "c d", next(t, updates))
}

func TestAFileThatIsWrittenInPlaceIsDelivered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "routes.yaml")
	require.NoError(t, os.WriteFile(path, []byte(route("a", 1)), 0o644))
	updates := watch(t, path)
	require.Equal(t, "a", next(t, updates))

	require.NoError(t, os.WriteFile(path, []byte(route("b", 1)), 0o644))

	until(t, updates, "b")
}

func TestAFileThatIsBeingWrittenIsAMistakeAndNotAnEmptyConfig(t *testing.T) {
	folder := t.TempDir()
	write(t, filepath.Join(folder, "a.yaml"), route("a", 1))
	write(t, filepath.Join(folder, "b.yaml"), route("b", 2))
	updates := watch(t, folder)
	require.Equal(t, "a b", next(t, updates))

	write(t, filepath.Join(folder, "b.yaml"), "\n")
	require.Equal(t, filepath.Join(folder, "b.yaml")+": is empty", next(t, updates))

	write(t, filepath.Join(folder, "b.yaml"), "# nothing, and on purpose\n")
	require.Equal(t, "a", next(t, updates))
}

func TestABadEditIsDeliveredAsItsMistakesAndMendedByTheNext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "routes.yaml")
	write(t, path, route("a", 1))
	updates := watch(t, path)
	require.Equal(t, "a", next(t, updates))

	write(t, path, strings.ReplaceAll(route("b", 0), "weight", "weigth"))
	bad := await.Next(t, updates, "an update")
	require.Nil(t, bad.Config)
	var mistakes config.Mistakes
	require.ErrorAs(t, bad.Err, &mistakes)
	require.Equal(t, path+":5: spec.listener.port: is not from 1 to 65535, found 0\n"+
		path+`:7: spec.strategy.canary.steps[0].weigth: is not a known field (did you mean "weight"?)`, bad.Err.Error())

	write(t, path, route("a", 1))
	require.Equal(t, "a", next(t, updates), "what was good before is delivered again, so that the error is over")
}

func TestAFileMayGoAndComeBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "routes.yaml")
	write(t, path, route("a", 1))
	updates := watch(t, path)
	require.Equal(t, "a", next(t, updates))

	require.NoError(t, os.Remove(path))
	require.Equal(t, path+": no such file or directory", next(t, updates))

	write(t, path, route("a", 1))
	require.Equal(t, "a", next(t, updates))
}

func TestAPathMayComeToBeLater(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "sluice", "routes", "a.yaml")
	updates := watch(t, path)
	require.Equal(t, path+": no such file or directory", next(t, updates))

	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	write(t, path, route("a", 1))

	until(t, updates, "a")
}

func TestAFolderIsReadAsOneConfig(t *testing.T) {
	folder := t.TempDir()
	updates := watch(t, folder)
	require.Equal(t, folder+": holds no InferenceRoute and no AnalysisPolicy (*.yaml, *.yml or *.json)", next(t, updates))

	write(t, filepath.Join(folder, "b.yml"), route("b", 2))
	require.Equal(t, "b", next(t, updates))

	write(t, filepath.Join(folder, "a.yaml"), route("a", 1))
	require.Equal(t, "a b", next(t, updates))

	write(t, filepath.Join(folder, "c.json"), `{"apiVersion": "sluice.dev/v1alpha1", "kind": "InferenceRoute", "metadata": {"name": "c"}, "spec": {
		"listener": {"port": 3}, "versions": [{"name": "v1", "endpoints": ["127.0.0.1:8001"]}], "strategy": {"split": {"weights": {"v1": "100%"}}}}}`)
	require.Equal(t, "a b c", next(t, updates))

	require.NoError(t, os.Remove(filepath.Join(folder, "a.yaml")))
	require.Equal(t, "b c", next(t, updates))

	write(t, filepath.Join(folder, "d.yaml"), route("b", 4))
	require.Equal(t, filepath.Join(folder, "d.yaml")+`:3: metadata.name: names a second InferenceRoute, found "default/b": the first is at `+
		filepath.Join(folder, "b.yml")+":3", next(t, updates))
}

func TestTheFilesOfEditorsAreNoEdits(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "routes.yaml")
	write(t, path, route("a", 1))
	updates := watch(t, folder)
	require.Equal(t, "a", next(t, updates))

	for _, name := range []string{".routes.yaml.swp", "routes.yaml~", "4913", "#routes.yaml#", ".routes.yaml", "README.md"} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte("no: manifest"), 0o644))
	}
	require.NoError(t, os.Symlink("somebody@host.1234", filepath.Join(folder, ".#routes.yaml")))
	require.NoError(t, os.Mkdir(filepath.Join(folder, "old.yaml"), 0o755))
	require.NoError(t, os.Chmod(path, 0o600))
	require.NoError(t, os.Rename(path, path+"~")) // as vim does: the old file goes, then the new one comes
	write(t, path, route("b", 1))

	until(t, updates, "b")
}

func TestAFolderOfKubernetesIsSwappedAsAWhole(t *testing.T) {
	folder := t.TempDir()
	first, second := filepath.Join(folder, "..2026_01"), filepath.Join(folder, "..2026_02")
	require.NoError(t, os.Mkdir(first, 0o755))
	write(t, filepath.Join(first, "routes.yaml"), route("a", 1))
	link(t, "..2026_01", filepath.Join(folder, "..data"))
	require.NoError(t, os.Symlink("..data/routes.yaml", filepath.Join(folder, "routes.yaml")))
	ofFolder, ofFile := watch(t, folder), watch(t, filepath.Join(folder, "routes.yaml"))
	require.Equal(t, "a", next(t, ofFolder))
	require.Equal(t, "a", next(t, ofFile))

	require.NoError(t, os.Mkdir(second, 0o755))
	write(t, filepath.Join(second, "routes.yaml"), route("b", 1))
	link(t, "..2026_02", filepath.Join(folder, "..data"))
	require.NoError(t, os.RemoveAll(first))

	require.Equal(t, "b", next(t, ofFolder))
	require.Equal(t, "b", next(t, ofFile))
}

func TestWhatIsRenamedIntoPlaceIsNotWaitedFor(t *testing.T) {
	folder := t.TempDir()
	first, second := filepath.Join(folder, "..2026_01"), filepath.Join(folder, "..2026_02")
	for i, version := range []string{first, second} {
		require.NoError(t, os.Mkdir(version, 0o755))
		write(t, filepath.Join(version, "routes.yaml"), route("a", 1+i))
	}
	link(t, "..2026_01", filepath.Join(folder, "..data"))
	require.NoError(t, os.Symlink("..data/routes.yaml", filepath.Join(folder, "routes.yaml")))
	updates := watchSettling(t, folder, never)
	port := func() uint32 { return await.Next(t, updates, "an update").Config.Routes[0].Listener.Port }
	require.EqualValues(t, 1, port())
	link(t, "..2026_02", filepath.Join(folder, "..data"))
	require.NoError(t, os.RemoveAll(first))
	require.EqualValues(t, 2, port(), "a folder of Kubernetes")
	write(t, filepath.Join(second, "routes.yaml"), route("a", 3))
	require.EqualValues(t, 3, port(), "a file")
}

func TestARouteThatMovesToAnotherFileIsNotGoneInBetween(t *testing.T) {
	folder := t.TempDir()
	write(t, filepath.Join(folder, "a.yaml"), route("a", 1)+"---\n"+route("b", 2))
	updates := watchSettling(t, folder, never)
	require.Equal(t, "a b", next(t, updates))
	write(t, filepath.Join(folder, "a.yaml"), route("a", 1))
	write(t, filepath.Join(folder, "b.yaml"), route("b", 2))
	require.Equal(t, "a b", next(t, updates))
}

func TestALinkOnTheWayToTheFileMayBeSwapped(t *testing.T) {
	root := t.TempDir()
	for _, release := range []string{"1", "2"} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, "releases", release), 0o755))
		write(t, filepath.Join(root, "releases", release, "routes.yaml"), route("release-"+release, 1))
	}
	link(t, filepath.Join(root, "releases", "1"), filepath.Join(root, "current"))
	path := filepath.Join(root, "current", "routes.yaml")
	updates := watch(t, path)
	require.Equal(t, "release-1", next(t, updates))

	link(t, "releases/2", filepath.Join(root, "current"))
	require.Equal(t, "release-2", next(t, updates))

	write(t, filepath.Join(root, "releases", "2", "routes.yaml"), route("edited", 1))
	require.Equal(t, "edited", next(t, updates))
}

func TestALinkedFileElsewhereMayBeEdited(t *testing.T) {
	folder, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "shared.yaml")
	write(t, elsewhere, route("a", 1))
	require.NoError(t, os.Symlink(elsewhere, filepath.Join(folder, "routes.yaml")))
	updates := watch(t, folder)
	require.Equal(t, "a", next(t, updates))

	write(t, elsewhere, route("b", 1))
	require.Equal(t, "b", next(t, updates))

	require.NoError(t, os.Remove(elsewhere))
	require.Equal(t, filepath.Join(folder, "routes.yaml")+": no such file or directory", next(t, updates))
}

func TestAFolderMayBeReplacedByAnother(t *testing.T) {
	root := t.TempDir()
	folder := filepath.Join(root, "routes")
	require.NoError(t, os.Mkdir(folder, 0o755))
	write(t, filepath.Join(folder, "routes.yaml"), route("a", 1))
	updates := watch(t, folder)
	require.Equal(t, "a", next(t, updates))

	require.NoError(t, os.Mkdir(folder+".new", 0o755))
	write(t, filepath.Join(folder+".new", "routes.yaml"), route("b", 1))
	require.NoError(t, os.Rename(folder, folder+".old"))
	require.NoError(t, os.Rename(folder+".new", folder))
	until(t, updates, "b")

	write(t, filepath.Join(folder, "routes.yaml"), route("c", 1))
	until(t, updates, "c")
}

func TestAStreamOfEditsIsReadInTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "routes.yaml")
	write(t, path, route("a", 1))
	updates := watch(t, path)

	for i := range 200 {
		write(t, path, route(fmt.Sprintf("edit-%d", i), 1))
	}

	until(t, updates, "edit-199")
}

func TestASourceNeedsAPathAndSomebodyToDeliverTo(t *testing.T) {
	_, err := file.New(file.Config{Deliver: func(context.Context, file.Update) {}})
	require.EqualError(t, err, "file: Path is empty")

	_, err = file.New(file.Config{Path: "routes.yaml"})
	require.EqualError(t, err, "file: Deliver is nil")
}

func TestLoadReadsOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "routes.yaml")
	write(t, path, route("a", 1))

	c, err := file.Load(path)

	require.NoError(t, err)
	require.Len(t, c.Routes, 1)
	_, err = file.Load(filepath.Dir(path) + "/none")
	require.EqualError(t, err, filepath.Dir(path)+"/none: no such file or directory")
	write(t, path, "# nothing\n")
	_, err = file.Load(path)
	require.EqualError(t, err, path+": holds no InferenceRoute and no AnalysisPolicy (*.yaml, *.yml or *.json)")
}
