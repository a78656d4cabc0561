package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/config/file"
	"github.com/sluice-dev/sluice/xds"
)

func newRender() *cobra.Command {
	var path, output string
	var splits []string
	cmd := &cobra.Command{
		Use:     "render -f FILE|FOLDER",
		GroupID: "offline",
		Short:   "Print what Envoy would be told, without a control plane",
		Long: `Render translates manifests to Envoy's resources exactly as 'sluice run' does:
clusters, endpoints, listeners, scopes and route configurations, in Envoy's own JSON
form, with the version that a proxy would be sent. Nothing is contacted.

Without --split an inference route has its fixed split, or its initial stable at 100%.`,
		Example: "  sluice render -f filetype.yaml\n" +
			"  sluice render -f routes/ --split ml/filetype=v3-2:95,v3-3:5 -o json",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := file.Load(path)
			if err != nil {
				return failure(err)
			}
			wanted, err := offlineSplits(c, splits)
			if err != nil {
				return err
			}
			resources, err := xds.Translate(c, wanted)
			if err != nil {
				return failure(err)
			}
			documents, err := resources.Documents()
			if err != nil {
				return failure(err)
			}
			return printObject(cmd.OutOrStdout(), output, documents)
		},
	}
	manifestFlag(cmd, &path)
	output = "yaml"
	choose(cmd, &output, "output", "o", "form of the resources", "json", "yaml")
	cmd.Flags().StringArrayVar(&splits, "split", nil, "NAMESPACE/NAME=VERSION:PERCENT,… instead of the initial split (repeatable)")
	return cmd
}

// offlineSplits gives every inference route the split it would start with, or
// the one that was asked for.
func offlineSplits(c *config.Config, flags []string) (map[config.Key]config.Split, error) {
	splits := map[config.Key]config.Split{}
	var known []string
	for _, r := range c.Routes {
		split := canary.State{Route: r.Key, Stable: r.InitialStable}.Split(r.RouteSpec)
		split.Epoch = 1
		splits[r.Key] = split
		known = append(known, r.Key.String())
	}
	for _, flag := range flags {
		key, split, err := parseSplit(flag)
		if err != nil {
			return nil, fmt.Errorf("--split %q: %w", flag, err)
		}
		if !slices.Contains(known, key.String()) {
			return nil, fmt.Errorf("--split %q: there is no inference route %s; there are %s", flag, key, strings.Join(known, ", "))
		}
		splits[key] = split
	}
	return splits, nil
}

// parseSplit reads NAMESPACE/NAME=VERSION:PERCENT,….
func parseSplit(s string) (config.Key, config.Split, error) {
	route, shares, ok := strings.Cut(s, "=")
	if !ok {
		return config.Key{}, config.Split{}, fmt.Errorf("is not NAMESPACE/NAME=VERSION:PERCENT,…")
	}
	key, err := parseKey(route)
	if err != nil {
		return config.Key{}, config.Split{}, err
	}
	split := config.Split{Epoch: 1}
	var sum uint32
	for part := range strings.SplitSeq(shares, ",") {
		version, weight, ok := strings.Cut(part, ":")
		if !ok {
			return config.Key{}, config.Split{}, fmt.Errorf("%q is not VERSION:PERCENT", part)
		}
		var p config.Percent
		if err := p.UnmarshalText([]byte(strings.TrimSuffix(weight, "%") + "%")); err != nil {
			return config.Key{}, config.Split{}, fmt.Errorf("%q: %w", part, err)
		}
		split.Shares = append(split.Shares, config.Share{Version: version, Weight: p.BasisPoints()})
		sum += p.BasisPoints()
	}
	if sum != config.WholeSplit {
		return config.Key{}, config.Split{}, fmt.Errorf("shares sum to %.4g%%, not 100%%", float64(sum)/100)
	}
	return key, split, nil
}
