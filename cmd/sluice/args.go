package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-dev/sluice/config"
)

// oneRoute takes the name of one inference route, and nothing else.
func oneRoute(_ *cobra.Command, args []string) error {
	switch len(args) {
	case 0:
		return fmt.Errorf("no inference route is named: give NAMESPACE/NAME")
	case 1:
		return manyRoutes(nil, args)
	}
	return fmt.Errorf("%d inference routes are named: give one, found %s", len(args), strings.Join(args, " "))
}

// manyRoutes takes names of inference routes.
func manyRoutes(_ *cobra.Command, args []string) error {
	for _, name := range args {
		if _, err := parseKey(name); err != nil {
			return err
		}
	}
	return nil
}

// parseKey reads NAMESPACE/NAME, or NAME in the namespace "default".
func parseKey(s string) (config.Key, error) {
	namespace, name, ok := strings.Cut(s, "/")
	if !ok {
		namespace, name = "default", s
	}
	if namespace == "" || name == "" || strings.Contains(name, "/") {
		return config.Key{}, fmt.Errorf("%q is not NAMESPACE/NAME or NAME", s)
	}
	return config.Key{Namespace: namespace, Name: name}, nil
}
