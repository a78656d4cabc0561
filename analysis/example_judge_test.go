package analysis_test

import (
	"fmt"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

// A candidate that gets a tenth of the traffic and fails every tenth request.
func ExampleJudge() {
	policy := config.Standard()
	arms := analysis.Arms{Stable: "v3-2", Candidate: "v3-3"}
	evidence := analysis.NewEvidence(policy, arms)
	for index := range int64(120) { // half a minute
		evidence = evidence.Update(policy, analysis.Closed{
			Windows: []analysis.Window{
				{WindowKey: analysis.WindowKey{Index: index, Version: "v3-2", Epoch: 7, Pod: "10.0.0.1:8000"}, Requests: 90},
				{WindowKey: analysis.WindowKey{Index: index, Version: "v3-3", Epoch: 7, Pod: "10.0.0.2:8000"}, Requests: 10, Errors: 1},
			},
			Shares: map[uint64]uint32{7: 1000},
		})
	}
	assessment := analysis.Judge(policy, evidence, time.Unix(30, 0))
	fmt.Println(assessment.Verdict)
	fmt.Printf("log-e %.1f of %.1f\n", assessment.LogE, assessment.LogNeeded)
	// Output:
	// harmful
	// log-e 7.7 of 5.5
}
