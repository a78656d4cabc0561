// Package fault makes a model server misbehave on purpose, for demonstrations:
// a share of errors, slower runs, a crash, readiness that goes away. Nothing in
// the server knows it; the command wraps the handler and the backend when it is
// told to. What goes wrong with which request depends on a seed alone.
//
// Start reading at Parse and Injector.
package fault

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Plan is what goes wrong, and from when on. The zero Plan is no fault.
type Plan struct {
	ErrorRate     float64       // share of inference requests answered 500, without a run
	LatencyFactor float64       // a run takes so many times its time; 0: its time
	LatencyAdd    time.Duration // and so much more
	// CrashAfterRequests ends the process when one more inference request comes.
	CrashAfterRequests int64
	UnreadyAfter       time.Duration // from the server's start

	// After and AfterRequests are when errors and latency begin: so long after
	// the server's start, and after so many inference requests. Both must hold.
	After         time.Duration
	AfterRequests int64
}

// Parse reads a list of key=value, each key at most once. All mistakes are
// reported.
func Parse(specs []string) (Plan, error) {
	var p Plan
	var mistakes []error
	seen := map[string]bool{}
	for _, spec := range specs {
		key, value, _ := strings.Cut(spec, "=")
		err := p.set(key, value)
		if err == nil && seen[key] {
			err = errors.New("given more than once")
		}
		seen[key] = true
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("fault %q: %w", spec, err))
		}
	}
	if len(mistakes) == 0 && p.idle() && len(specs) > 0 {
		mistakes = append(mistakes, fmt.Errorf("fault: only says when, not what, found %s", strings.Join(specs, ",")))
	}
	return p, errors.Join(mistakes...)
}

// idle says whether nothing would go wrong.
func (p Plan) idle() bool {
	p.After, p.AfterRequests = 0, 0
	return p == Plan{}
}

const keys = "error-rate, latency-factor, latency-add, crash-after-requests, unready-after, after, after-requests"

func (p *Plan) set(key, value string) (err error) {
	switch key {
	case "error-rate":
		p.ErrorRate, err = number(value, 0, 1)
	case "latency-factor":
		p.LatencyFactor, err = number(value, 1, 1000)
	case "latency-add":
		p.LatencyAdd, err = duration(value)
	case "crash-after-requests":
		p.CrashAfterRequests, err = count(value)
	case "unready-after":
		p.UnreadyAfter, err = duration(value)
	case "after":
		p.After, err = duration(value)
	case "after-requests":
		p.AfterRequests, err = count(value)
	default:
		return fmt.Errorf("key is one of %s; found %q", keys, key)
	}
	return err
}

func number(text string, above, most float64) (float64, error) {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(v) || v <= above || v > most {
		return 0, fmt.Errorf("a number above %g, at most %g, found %q", above, most, text)
	}
	return v, nil
}

func duration(text string) (time.Duration, error) {
	v, err := time.ParseDuration(text)
	if err != nil || v <= 0 {
		return 0, fmt.Errorf("a positive duration as 20ms or 15s, found %q", text)
	}
	return v, nil
}

func count(text string) (int64, error) {
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil || v < 1 {
		return 0, fmt.Errorf("a positive whole number, found %q", text)
	}
	return v, nil
}
