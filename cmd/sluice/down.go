package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-dev/sluice/canary/filestore"
	"github.com/sluice-dev/sluice/xds/envoy"
)

func newDown() *cobra.Command {
	var state string
	var drain, grace time.Duration
	cmd := &cobra.Command{
		Use:     "down",
		GroupID: "serve",
		Short:   "Drain and end the Envoy that a killed control plane left running",
		Long: `Down ends the Envoy of a state folder. A control plane that ends in good order does
that itself; one that was killed leaves its Envoy serving, and the next 'sluice run' on
the same folder adopts it. Down is for when there will be no next run.`,
		Example: "  sluice down --state .sluice",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			folder, err := envoy.Open(state)
			if err != nil {
				return failure(err)
			}
			if err := unheld(folder.Dir); err != nil {
				return failure(err)
			}
			was, err := envoy.Down(cmd.Context(), folder, drain, grace)
			if err != nil {
				return failure(err)
			}
			text := "no Envoy runs on " + state
			if was {
				text = "the Envoy of " + state + " was drained and has ended"
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
			return failure(err)
		},
	}
	cmd.Flags().StringVar(&state, "state", defaultState, "state folder of the 'sluice run' that was killed")
	cmd.Flags().DurationVar(&drain, "drain", 5*time.Second, "how long it still takes connections, asking clients to go elsewhere")
	cmd.Flags().DurationVar(&grace, "grace", 30*time.Second, "how long it then waits for requests under way")
	return cmd
}

// unheld refuses a state folder whose control plane is alive: that one minds its
// Envoy, and would start another. A state file that is damaged holds nobody.
func unheld(folder string) error {
	path := filepath.Join(folder, stateFile)
	if _, err := os.Stat(path); err != nil {
		return nil //nolint:nilerr // what is not there is held by nobody
	}
	store, err := filestore.Open(path)
	switch {
	case errors.Is(err, filestore.ErrHeld):
		return fmt.Errorf("%w; stop that one, and it ends its Envoy itself", err)
	case err != nil:
		return nil //nolint:nilerr // what cannot be opened is held by nobody
	}
	return store.Close()
}
