package canary

import (
	"fmt"

	"github.com/sluice-dev/sluice/config"
)

// shadowed copies requests of one version to another. A shadow that is known to
// have no ready endpoint is sent none.
func (s State) shadowed(t config.Shadow, split *config.Split) {
	split.Shares = config.Whole(t.Of)
	if !s.known(t.To, 0) {
		split.Mirror = config.Share{Version: t.To, Weight: t.Percent.BasisPoints()}
		split.Repeat = repeated(s.Policy, t.Of, split.Mirror)
	}
}

// shadow is what a shadow step copies, also at a gate behind one.
func (r *Rollout) shadow() config.Share {
	if r.Phase != Stepping && r.Phase != Approving || r.Unready != nil || r.Mirroring != config.MirroringAllowed {
		return config.Share{}
	}
	for i := min(r.Step, len(r.Steps)-1); i >= 0; i-- {
		if step := r.Steps[i]; step.Approve == nil {
			return mirrorOf(r.Candidate, step.Shadow)
		}
	}
	return config.Share{}
}

// repeated is what stable is sent a copy of, too, where the policy reads the bodies of
// answers, or measures a shadow's by how stable's differ among themselves.
func repeated(p config.PolicySpec, stable string, mirror config.Share) config.Share {
	if m, _ := p.Answers(); mirror.Weight == 0 || m.Copies() == 0 {
		return config.Share{}
	}
	return config.Share{Version: stable, Weight: mirror.Weight}
}

func mirrorOf(version string, share config.Percent) config.Share {
	if share == 0 {
		return config.Share{}
	}
	return config.Share{Version: version, Weight: share.BasisPoints()}
}

// gives says what a step gives the candidate.
func (r *Rollout) gives(step config.Step) string {
	if step.Shadow > 0 {
		return fmt.Sprintf("%s is sent copies of %s", r.Candidate, step.Shadow)
	}
	return fmt.Sprintf("%s at %s", r.Candidate, step.Weight)
}
