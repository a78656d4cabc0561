package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/sluice-dev/sluice/canary/review"
)

// outputFlag adds -o with json and yaml, and what else a command knows.
func outputFlag(cmd *cobra.Command, output *string, more ...string) {
	choose(cmd, output, "output", "o", "print this form instead", append([]string{"json", "yaml"}, more...)...)
}

// count writes a number of things.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// printObject writes v as JSON or YAML. Any other output is a usage error.
func printObject(w io.Writer, output string, v any) error {
	var data []byte
	var err error
	switch output {
	case "json":
		var text bytes.Buffer
		e := json.NewEncoder(&text)
		if _, hashed := v.(review.Review); !hashed { // its hash is of its text
			e.SetEscapeHTML(false)
		}
		e.SetIndent("", "  ")
		err = e.Encode(v)
		data = text.Bytes()
	case "yaml":
		data, err = yaml.Marshal(v)
	default:
		return fmt.Errorf("--output: is not json or yaml, found %q", output)
	}
	if err != nil {
		return failure(err)
	}
	_, err = w.Write(data)
	return failure(err)
}
