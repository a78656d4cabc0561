package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-dev/sluice/canary/review/archive"
)

// runOptions are the flags of `sluice run`.
type runOptions struct {
	manifests string
	state     string

	envoy        string
	envoyWorkers int
	node         string
	drain        time.Duration
	keepReviews  int
	grace        time.Duration

	xdsAddress  string
	httpAddress string
	logLevel    string
}

// Values of --envoy.
const (
	envoyNone = "none"
	envoyAuto = "auto"
)

func newRun() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:     "run -f FILE|FOLDER",
		GroupID: "serve",
		Short:   "Start the control plane, and if asked an Envoy",
		Long: `Run serves Envoys over xDS, reads their access logs and load reports back, and moves
traffic between versions as the manifests say. It watches the manifests: change
'target' and a rollout begins. A bad edit is named in 'sluice status' and the log, and
the last good configuration stays in force.

With --envoy auto it starts an Envoy itself: $ENVOY_BIN, or 'envoy' on the PATH, or the
one that 'make parts' fetched. It brings it back when it dies, drains it on a clean
exit, and adopts the one that a killed run left serving on the same state folder.
Without, give any Envoy the output of 'sluice bootstrap' and an --xds-address.

Everything it must remember is in the state folder: state.db, what was decided and
seen; ports.json, where proxies listen; reviews, those of ended rollouts. Besides there
are run.json, which says where the API is, sockets for xDS, logs and Envoy's admin
interface, and envoy.json, envoy.pid and envoy.log of an Envoy that it starts. It listens
on loopback only, unless told otherwise. When OTEL_EXPORTER_OTLP_ENDPOINT is set it sends
spans from each decision to its acknowledgement there. Logs are JSON on stderr.`,
		Example: `  sluice run -f routes/ --envoy auto
  sluice run -f filetype.yaml --state /var/lib/sluice --xds-address 10.0.0.7:18000`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			return runControlPlane(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	manifestFlag(cmd, &o.manifests)
	f := cmd.Flags()
	f.StringVar(&o.state, "state", defaultState, "folder for state, sockets and reviews")
	o.envoy, o.logLevel = envoyNone, "info"
	choose(cmd, &o.envoy, "envoy", "", "whether to start an Envoy", envoyNone, envoyAuto)
	f.IntVar(&o.envoyWorkers, "envoy-workers", 0, "worker threads of that Envoy (default: one per core)")
	f.StringVar(&o.node, "node", "sluice", "node id of that Envoy")
	f.DurationVar(&o.drain, "drain", 5*time.Second,
		"on exit: how long that Envoy still takes connections at most, asking clients to go elsewhere; less when no client comes any more")
	f.DurationVar(&o.grace, "grace", 30*time.Second, "on exit: how long it then waits for requests under way")
	f.IntVar(&o.keepReviews, "keep-reviews", archive.DefaultKeep,
		"how many reviews, with their decisions, to keep per inference route; those that may still matter stay beyond that")
	f.StringVar(&o.xdsAddress, "xds-address", "",
		"host:port where other Envoys reach discovery, access logs and load reports (default: sockets in the state folder only)")
	f.StringVar(&o.httpAddress, "http-address", "127.0.0.1:7460", "host:port of the API, the live page and /metrics; port 0 takes a free one")
	choose(cmd, &o.logLevel, "log-level", "", "least level of what is logged", "debug", "info", "warn", "error")
	return cmd
}

// check refuses numbers that mean nothing, all at once.
func (o runOptions) check() error {
	var mistakes []error
	if o.keepReviews < 1 {
		mistakes = append(mistakes, fmt.Errorf("--keep-reviews: is below 1, found %d", o.keepReviews))
	}
	if o.envoyWorkers < 0 {
		mistakes = append(mistakes, fmt.Errorf("--envoy-workers: is below 0, found %d", o.envoyWorkers))
	}
	if o.drain < 0 {
		mistakes = append(mistakes, fmt.Errorf("--drain: is below 0s, found %s", o.drain))
	}
	if o.grace < 0 {
		mistakes = append(mistakes, fmt.Errorf("--grace: is below 0s, found %s", o.grace))
	}
	return errors.Join(mistakes...)
}
