package analysis

import (
	"strings"

	"github.com/sluice-dev/sluice/config"
)

// tokens counts the answers of both arms, and those of them whose server said how many
// tokens they have: without that no time per token is known, and none judged.
type tokens struct {
	Answered [sides]int64 `json:"answered"`
	Said     [sides]int64 `json:"said"`
}

// leastAnswered is how many answers without a number of tokens are no accident.
const leastAnswered = 30

// newTokens is nil where no time per token is judged; so are the methods' answers.
func newTokens(p config.PolicySpec) *tokens {
	if m := metricOf(p, config.MetricTPOT); m.SLO == nil && m.VersusStable == nil {
		return nil
	}
	return &tokens{}
}

func (t *tokens) clone() *tokens {
	if t == nil {
		return nil
	}
	c := *t
	return &c
}

func (t *tokens) count(windows []*Window, arms Arms) {
	if t == nil {
		return
	}
	for _, w := range windows {
		of := arms.side(w.Version)
		t.Answered[of] += w.Requests - w.Errors
		t.Said[of] += w.PerToken.Count()
	}
}

// unsaid says which versions do not say how many tokens their answers have, and what to
// do. Empty: they do, or have hardly answered yet.
func (t *tokens) unsaid(arms Arms) string {
	if t == nil {
		return ""
	}
	var none []string
	for of, version := range [sides]string{ofStable: arms.Stable, ofCandidate: arms.Candidate} {
		if t.Said[of] == 0 && t.Answered[of] >= leastAnswered {
			none = append(none, sprintf("none of %d answers of %s", t.Answered[of], version))
		}
	}
	if none == nil {
		return ""
	}
	return sprintf("metric tpot: %s says how many tokens it has: its server must send x-sluice-tokens, "+
		"as sluice-serve proxy does in front of it", strings.Join(none, " and "))
}
