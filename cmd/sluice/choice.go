package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// choice is a flag that takes one of some words.
type choice struct {
	into *string
	of   []string
}

// choose adds a flag that takes one of some words, and nothing else. Where it is
// not given, *into stays what it is.
func choose(cmd *cobra.Command, into *string, name, short, usage string, of ...string) {
	cmd.Flags().VarP(&choice{into, of}, name, short, usage)
	if err := cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(of, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag was added one line above
	}
}

func (c *choice) String() string { return *c.into }

// Type stands beside the flag in help.
func (c *choice) Type() string { return strings.Join(c.of, "|") }

func (c *choice) Set(word string) error {
	if !slices.Contains(c.of, word) {
		return errors.New("is not one of " + strings.Join(c.of, ", "))
	}
	*c.into = word
	return nil
}

// flagError says what is wrong with a flag as everything else is said.
func flagError(_ *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return err
	}
	return fmt.Errorf("--%s: %w, found %q", invalid.GetFlag().Name, invalid.Unwrap(), invalid.GetValue())
}
