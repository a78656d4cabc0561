package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/config/file"
)

func newLint() *cobra.Command {
	var path, output string
	cmd := &cobra.Command{
		Use:     "lint -f FILE|FOLDER",
		GroupID: "offline",
		Short:   "Name every mistake in manifests, without a control plane",
		Long: `Lint parses and checks manifests exactly as 'sluice run' does, and prints every
mistake at once: document, line, field, the fact and what was found. Advice, which
stops nothing, is printed after the mistakes.

Exit code 5 when there are mistakes.`,
		Example: "  sluice lint -f routes/\n  sluice lint -f filetype.yaml -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := file.Load(path)
			var mistakes config.Mistakes
			if err != nil && !errors.As(err, &mistakes) {
				return failure(err)
			}
			var advice []config.Mistake
			if err == nil {
				advice = config.Advise(c)
			}
			return printFindings(cmd, output, mistakes, advice)
		},
	}
	manifestFlag(cmd, &path)
	outputFlag(cmd, &output)
	return cmd
}

// findings is the JSON form of lint's answer.
type findings struct {
	Mistakes []config.Mistake `json:"mistakes"`
	Advice   []config.Mistake `json:"advice"`
}

func printFindings(cmd *cobra.Command, output string, mistakes, advice []config.Mistake) error {
	if output != "" {
		// Empty lists, not null.
		found := findings{append([]config.Mistake{}, mistakes...), append([]config.Mistake{}, advice...)}
		if err := printObject(cmd.OutOrStdout(), output, found); err != nil {
			return err
		}
	} else {
		out := cmd.OutOrStdout()
		for _, m := range mistakes {
			fmt.Fprintf(out, "mistake: %v\n", m)
		}
		for _, m := range advice {
			fmt.Fprintf(out, "advice:  %v\n", m)
		}
		fmt.Fprintf(out, "%s, %s\n", count(len(mistakes), "mistake", "mistakes"), count(len(advice), "piece of advice", "pieces of advice"))
	}
	if len(mistakes) > 0 {
		return &exitError{code: exitFindings}
	}
	return nil
}

// manifestFlag adds -f.
func manifestFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVarP(path, "filename", "f", "", "manifest file, or folder of *.yaml, *.yml and *.json (required)")
	if err := cmd.MarkFlagRequired("filename"); err != nil {
		panic(err) // the flag was added one line above
	}
}
