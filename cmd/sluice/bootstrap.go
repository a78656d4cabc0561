package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/sluice-dev/sluice/xds"
)

func newBootstrap() *cobra.Command {
	var c xds.BootstrapConfig
	cmd := &cobra.Command{
		Use:     "bootstrap --node ID --xds ADDRESS --admin ADDRESS",
		GroupID: "offline",
		Short:   "Print the bootstrap that makes any Envoy a proxy of Sluice",
		Long: `Bootstrap prints the JSON that an Envoy (1.36 or newer) is started with. It names
the control plane for discovery, access logs and load reports, reconnects within half
a second, and says nothing about traffic: that comes over xDS.

An address is host:port, or the absolute path of a unix socket.`,
		Example: "  sluice bootstrap --node gateway-1 --xds 10.0.0.7:18000 --admin /run/envoy/admin.sock > envoy.json\n" +
			"  envoy -c envoy.json",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if c.NodeID == "" {
				return errors.New("--node: is empty; it tells this proxy from all others")
			}
			data, err := xds.Bootstrap(c)
			if err != nil {
				return &exitError{code: exitUsage, err: err}
			}
			_, err = cmd.OutOrStdout().Write(append(data, '\n'))
			return failure(err)
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.NodeID, "node", "", "id that tells this proxy from all others (required)")
	f.StringVar(&c.Cluster, "cluster", "sluice", "group of proxies, for Envoy's own reports")
	f.StringVar(&c.XDSAddress, "xds", "", "where 'sluice run --xds-address' serves discovery (required)")
	f.StringSliceVar(&c.ALSAddresses, "als", nil, "where access logs and load reports go; a second one takes over without loss (default: --xds)")
	f.StringVar(&c.TapAddress, "tap", "", "where answers to copies are read, if a policy compares bodies (default: the first --als)")
	f.StringVar(&c.AdminAddress, "admin", "", "Envoy's admin interface; a socket gets mode 0600 (required)")
	f.BoolVar(&c.StateOfTheWorld, "state-of-the-world", false, "ask for whole lists with every change, as old proxies do")
	f.DurationVar(&c.Reconnect.Base, "reconnect-base", 0, "least wait between attempts to reach the control plane (default 100ms)")
	f.DurationVar(&c.Reconnect.Max, "reconnect-max", 0, "longest such wait; raise it for thousands of proxies (default 500ms)")
	for _, name := range []string{"node", "xds", "admin"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag was added above
		}
	}
	return cmd
}
