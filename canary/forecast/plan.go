package forecast

import (
	"time"

	"github.com/sluice-dev/sluice/config"
)

// least is the least time that a step takes: its own, or the policy's; and, at the
// rate given, what the least number of requests takes.
func least(c Config, s config.Step) time.Duration {
	d := s.For.D()
	if d == 0 {
		d = c.Policy.Limits.MinStep.D()
	}
	if perSecond := c.Rate * s.Weight.Fraction(); perSecond > 0 {
		d = max(d, time.Duration(float64(c.Policy.Limits.MinRequestsPerStep)/perSecond*float64(time.Second)))
	}
	return d
}

// Plan is what a policy asks of each step whatever the traffic. Likely is not known
// without a rate.
func Plan(policy config.PolicySpec, steps []config.Step, rate float64) []Step {
	c := Config{Policy: policy, Steps: steps, Rate: rate}
	return stepsOf(nil, c)
}
