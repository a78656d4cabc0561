package main

import (
	"io"
	"os"

	"github.com/spf13/cobra"
)

// openInput opens a file, or standard input for -, and gives its name in messages.
func openInput(cmd *cobra.Command, path string) (in io.ReadCloser, name string, err error) {
	if path == "-" {
		return io.NopCloser(cmd.InOrStdin()), "standard input", nil
	}
	f, err := os.Open(path)
	return f, path, err
}
