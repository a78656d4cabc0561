package controller

import (
	"fmt"
	"strings"

	"github.com/sluice-dev/sluice/analysis"
)

// remedy says what would change a verdict: how far the evidence for promotion
// and that for rollback are from deciding.
func remedy(a analysis.Assessment) string {
	var says []string
	if missing, most := unpassed(a); len(missing) > 0 {
		text := fmt.Sprintf("healthy at evidence of %.1f nats in %s by %s, now %.1f", most.LogNeeded, most.Metric, most.Method, most.LogE)
		if more := len(missing) - 1; more > 0 {
			text += fmt.Sprintf(", and %d more", more)
		}
		says = append(says, text)
	}
	if a.LogNeeded > 0 {
		says = append(says, fmt.Sprintf("harmful at evidence of %.1f nats against it, now %.1f", a.LogNeeded, a.LogE))
	}
	return strings.Join(says, "; ")
}

// unpassed are the tests that promotion still waits for, and the one that is
// farthest from passing.
func unpassed(a analysis.Assessment) (missing []analysis.Test, farthest analysis.Test) {
	for _, t := range a.Tests {
		if t.Direction != "promotion" || t.Passed {
			continue
		}
		if len(missing) == 0 || t.LogNeeded-t.LogE > farthest.LogNeeded-farthest.LogE {
			farthest = t
		}
		missing = append(missing, t)
	}
	return missing, farthest
}
