package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sluice-dev/sluice/canary/api"
)

// runFile is what a running control plane leaves in its state folder for the
// command line.
type runFile struct {
	PID int    `json:"pid"`
	API string `json:"api"` // http://host:port
}

const runFileName = "run.json"

// stateFile is what a control plane holds while it runs.
const stateFile = "state.db"

// defaultState is the state folder where no --state is given.
const defaultState = ".sluice"

// target is how a command finds the control plane.
type target struct {
	server string
	state  string
}

func targetFlags(cmd *cobra.Command) *target {
	t := &target{}
	cmd.Flags().StringVar(&t.server, "server", "", "URL of the control plane's API (default: as written in the state folder)")
	cmd.Flags().StringVar(&t.state, "state", defaultState, "state folder of the 'sluice run' to talk to")
	return t
}

// client finds the control plane. The error says where it looked.
func (t *target) client() (*api.Client, error) {
	if t.server != "" {
		at, err := url.Parse(t.server)
		if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" {
			return nil, fmt.Errorf("--server: is not a URL such as http://127.0.0.1:7460, found %q", t.server)
		}
		return api.NewClient(t.server), nil
	}
	path := filepath.Join(t.state, runFileName)
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, failure(fmt.Errorf("%s: is not there, so no 'sluice run' uses this state folder: %s", path, startHint))
	}
	if err != nil {
		return nil, failure(err)
	}
	var run runFile
	if err := json.Unmarshal(data, &run); err != nil {
		return nil, failure(fmt.Errorf("%s: %w", path, err))
	}
	return api.NewClient(run.API), nil
}
