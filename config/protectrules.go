package config

import (
	"fmt"
	"slices"
)

const retryPath = "spec.protect.retryOnStable"

func (c *checker) protect(s RouteSpec) {
	retry := s.Protect.RetryOnStable
	if retry == nil {
		return
	}
	for i, failure := range retry.On {
		path := at(retryPath+".on", i)
		if first := slices.Index(retry.On, failure); first < i {
			c.refuse(path, "is written twice: first as "+at("on", first), string(failure))
			continue
		}
		oneOf(c, path, failure, FailureConnect, Failure5xx)
	}
	if len(retry.On) == 0 {
		c.refusef(retryPath+".on", "is empty: leave it out for connect-failure and 5xx")
	}
	c.weight(retryPath+".budget", retry.Budget)
	if s.Strategy.Canary == nil && s.Strategy.given() == 1 {
		c.refusef(retryPath, "does not go with strategy.%s: that has no stable version to retry on", s.Strategy.Name())
	}
}

// adviseProtection names the first step that the budget does not cover.
func (c *checker) adviseProtection(retry *RetryOnStable, canary Canary) {
	if retry == nil {
		return
	}
	for i, step := range canary.Steps {
		if step.Weight > retry.Budget {
			c.refuse(at(canaryPath+".steps", i)+".weight", fmt.Sprintf(
				"is above spec.protect.retryOnStable.budget, %s: of this step on, only so much of the traffic is tried again on stable",
				retry.Budget), step.Weight)
			return
		}
	}
}
