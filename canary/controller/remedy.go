package controller

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-dev/sluice/analysis"
)

// remedy says what would change a verdict: how far the evidence for promotion
// and that for rollback are from deciding. Of promotion it names the test that the
// verdict waits for longest.
func remedy(a analysis.Assessment) string {
	var says []string
	if w := a.Why; w.Kind == analysis.WhyEvidence {
		says = append(says, fmt.Sprintf("healthy at evidence of %.1f nats in %s by %s, now %.1f", w.LogNeeded, w.Metric, w.Method, w.LogE))
	}
	switch {
	case a.LogNeeded > 0 && !counted(a):
		says = append(says, "no request to the candidate was judged: nothing speaks against it yet")
	case a.LogNeeded > 0:
		says = append(says, fmt.Sprintf("harmful at evidence of %.1f nats against it, now %.1f", a.LogNeeded, a.LogE))
	}
	return strings.Join(says, "; ")
}

// counted says whether any test has seen the candidate: without, evidence is a price paid and says nothing.
func counted(a analysis.Assessment) bool {
	return slices.ContainsFunc(a.Tests, func(t analysis.Test) bool { return t.Candidate.N > 0 })
}
