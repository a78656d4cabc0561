package analysis

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatATestFoundIsSaidInTheWordsOfItsDirection(t *testing.T) {
	for _, tt := range []struct {
		name string
		n    int64 // requests of the candidate
		test Test
		want string
	}{
		{"nothing came", 0, Test{Direction: directionRollback, Idle: "fewer than 3 errors: 0"}, "no data"},
		{"a rollback test that has not passed", 1, Test{Direction: directionRollback}, "open"},
		{"a rollback test that has", 1, Test{Direction: directionRollback, Passed: true}, "harmful"},
		{"one that does not count now", 1, Test{Direction: directionRollback, Passed: true, Idle: "the log is cut"}, "idle: the log is cut"},
		{"a promotion test that has not passed", 1, Test{Direction: directionPromotion}, "open"},
		{"a promotion test that has", 1, Test{Direction: directionPromotion, Passed: true}, "healthy"},
		{"a split as it was asked for", 1, Test{Direction: directionIntegrity}, "no alarm"},
		{"a split that is another", 1, Test{Direction: directionIntegrity, Passed: true}, "alarm"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.test.Candidate.N = tt.n
			require.Equal(t, tt.want, tt.test.Found())
		})
	}
}
