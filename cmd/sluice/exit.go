package main

import (
	"errors"
	"fmt"

	"github.com/sluice-dev/sluice/canary/api"
	"github.com/sluice-dev/sluice/config"
)

// Exit codes. They are part of the interface: scripts gate on them.
const (
	exitOK       = 0
	exitFailure  = 1 // something went wrong
	exitUsage    = 2 // the command line is off
	exitRollback = 3 // the rollout was rolled back, or is degraded
	exitTimeout  = 4 // --timeout passed first
	exitFindings = 5 // lint, run or another command found mistakes in manifests
)

const exitHelp = `Exit codes: 0 ok, 1 failure, 2 usage, 3 rolled back, 4 timeout, 5 mistakes in manifests.`

// exitError carries an exit code out of a command. A nil err prints nothing:
// the command has said it all.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// startHint says what to do where no control plane is found.
const startHint = "'sluice run -f FILE|FOLDER' starts one; --state or --server names another"

// failure makes an error end the program with exitFailure; with exitFindings, if manifests
// are mistaken.
func failure(err error) error {
	if err == nil {
		return nil
	}
	code := exitFailure
	if _, ok := errors.AsType[config.Mistakes](err); ok {
		code = exitFindings
	}
	if errors.Is(err, api.ErrAway) {
		err = fmt.Errorf("%w: %s", err, startHint)
	}
	return &exitError{code: code, err: err}
}
