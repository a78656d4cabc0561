package config

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every rule has a pair of files in testdata: what it lets through, and what it
// refuses, with the messages in comments at the head.
func TestGoldenRules(t *testing.T) {
	bad, err := filepath.Glob("testdata/*.bad.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, bad)
	good, err := filepath.Glob("testdata/*.good.yaml")
	require.NoError(t, err)
	require.Len(t, good, len(bad), "every rule has a good and a bad file")

	for _, path := range bad {
		rule := strings.TrimSuffix(filepath.Base(path), ".bad.yaml")
		t.Run(rule+" lets the good file through", func(t *testing.T) {
			doc := readDocument(t, strings.Replace(path, ".bad.", ".good.", 1))

			c, err := Parse(doc)

			require.NoError(t, err)
			require.NotEmpty(t, len(c.Routes)+len(c.Policies))
			require.NoError(t, Validate(c), "what parses is valid in Go, too")
		})
		t.Run(rule+" refuses the bad file with the messages at its head", func(t *testing.T) {
			doc := readDocument(t, path)
			want := messages(doc.Data)

			_, err := Parse(doc)

			require.Error(t, err)
			if os.Getenv("UPDATE_GOLDEN") != "" {
				rewrite(t, path, doc)
				return
			}
			require.Equal(t, want, strings.Split(err.Error(), "\n"))
		})
	}
}

func readDocument(t *testing.T, path string) Document {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return Document{Name: filepath.Base(path), Data: data}
}

// messages reads the comments at a file's head.
func messages(data []byte) []string {
	var lines []string
	for line := range strings.Lines(string(data)) {
		text, ok := strings.CutPrefix(line, "# ")
		if !ok {
			break
		}
		lines = append(lines, strings.TrimSuffix(text, "\n"))
	}
	return lines
}

// rewrite puts the present messages at a file's head. They name lines, and are as
// many lines themselves, so one more round settles it.
func rewrite(t *testing.T, path string, doc Document) {
	t.Helper()
	for range 2 {
		_, err := Parse(doc)
		require.Error(t, err)
		body := bytes.SplitAfter(doc.Data, []byte("\n"))[len(messages(doc.Data)):]
		var head strings.Builder
		for line := range strings.SplitSeq(err.Error(), "\n") {
			fmt.Fprintf(&head, "# %s\n", line)
		}
		doc.Data = append([]byte(head.String()), bytes.Join(body, nil)...)
	}
	require.NoError(t, os.WriteFile(path, doc.Data, 0o644))
}
