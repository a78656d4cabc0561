package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-dev/sluice/canary/api"
	"github.com/sluice-dev/sluice/canary/controller"
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

// find finds the control plane, and which of its inference routes is meant.
func (t *target) find(ctx context.Context, name string) (*api.Client, config.Key, error) {
	client, err := t.client()
	if err != nil {
		return nil, config.Key{}, err
	}
	key, err := find(ctx, client, name)
	return client, key, err
}

// find asks only where no namespace is named.
func find(ctx context.Context, client *api.Client, name string) (config.Key, error) {
	if strings.Contains(name, "/") {
		return parseKey(name)
	}
	known, err := client.List(ctx)
	if err != nil {
		return config.Key{}, failure(err)
	}
	return pick(name, known)
}

// pick says which of the known inference routes a name is of: without a namespace
// default's, or else the only one that is called so.
func pick(name string, known []controller.Snapshot) (config.Key, error) {
	key, err := parseKey(name)
	if err != nil || strings.Contains(name, "/") {
		return key, err
	}
	var called []string
	for _, s := range known {
		if s.State.Route == key {
			return key, nil
		}
		if s.State.Route.Name == name {
			called = append(called, s.State.Route.String())
		}
	}
	switch len(called) {
	case 0:
		return key, nil // whoever is asked for it says what there is
	case 1:
		return parseKey(called[0])
	}
	return config.Key{}, fmt.Errorf("%s: is not there, and several others are called %q: name one of %s", key, name, strings.Join(called, ", "))
}
