package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// strategy checks each that is written by its own rules, be they one too many.
func (c *checker) strategy(s RouteSpec) {
	if s.Strategy.Canary != nil {
		c.arms(s)
		c.canary(*s.Strategy.Canary, s)
	}
	if s.Strategy.Split != nil {
		c.split(*s.Strategy.Split, s.Versions)
	}
	if s.Strategy.ABTest != nil {
		c.abTest(*s.Strategy.ABTest, s)
	}
	if s.Strategy.Shadow != nil {
		c.shadow(*s.Strategy.Shadow, s)
	}
	switch n := s.Strategy.given(); {
	case n == 0:
		c.lacks("spec.strategy", "has none of canary, split, abTest and shadow: give exactly one")
	case n > 1:
		c.refusef("spec.strategy", "has more than one of canary, split, abTest and shadow: give exactly one")
	case s.Strategy.Canary == nil:
		c.onlyCanary(s)
	}
}

// given counts the strategies that were written.
func (s Strategy) given() (n int) {
	for _, written := range []bool{s.Canary != nil, s.Split != nil, s.ABTest != nil, s.Shadow != nil} {
		if written {
			n++
		}
	}
	return n
}

const canaryPath = "spec.strategy.canary"

// arms checks the names of the versions a canary moves between.
func (c *checker) arms(s RouteSpec) {
	if s.Target == "" && len(s.Versions) > 0 {
		c.refusef("spec.target", "is required with strategy.canary: the version users should get")
	} else if s.Target != "" {
		c.namesVersion("spec.target", s.Target, s.Versions)
	}
	if s.InitialStable == "" && len(s.Versions) > 1 {
		c.refusef("spec.initialStable", "is required where there is more than one version: the one users trust now")
	} else if s.InitialStable != "" {
		c.namesVersion("spec.initialStable", s.InitialStable, s.Versions)
	}
	c.atLeast("spec.attempt", s.Attempt, 0)
	if s.Analysis.Policy == "" {
		c.refusef("spec.analysis.policy", "is empty: name a policy, or leave it out for "+DefaultPolicy)
	}
}

func (c *checker) canary(canary Canary, s RouteSpec) {
	if len(canary.Steps) == 0 {
		c.lacks(canaryPath+".steps", "is empty: a candidate needs a first share to be judged by")
	}
	c.steps(canary.Steps, s)
	c.notNegative(canaryPath+".bake", canary.Bake)
	c.rollbackWindow(canaryPath+".rollbackWindow", canary.RollbackWindow)
}

// steps checks each of them, and that weights grow.
func (c *checker) steps(steps []Step, s RouteSpec) {
	last, weighed := Percent(0), false
	for i, step := range steps {
		path := at(canaryPath+".steps", i)
		hasWeight := c.gives(path+".weight", step.Weight)
		hasShadow := c.gives(path+".shadow", step.Shadow)
		switch {
		case hasWeight && hasShadow, hasWeight && step.Approve != nil, hasShadow && step.Approve != nil:
			c.refusef(path, "has more than one of weight, shadow and approve: make them steps of their own")
		case step.Approve != nil:
			c.approve(path, i, step)
		case hasShadow:
			c.shadowStep(path, step, last, s)
		case !hasWeight:
			c.lacks(path, "has none of weight, shadow and approve: `approve: {}` waits for a person")
		default:
			c.weight(path+".weight", step.Weight)
			c.forTime(path+".for", step.For)
		}
		weighed = weighed || hasWeight
		if hasWeight && c.sound(path+".weight") {
			c.grows(path+".weight", step.Weight, last)
			last = max(last, step.Weight)
		}
	}
	if !weighed && len(steps) > 0 {
		c.lacks(canaryPath+".steps", "have no weight: a candidate needs a first share to be judged by")
	}
}

func (c *checker) grows(path string, weight, last Percent) {
	if weight <= last {
		c.refuse(path, fmt.Sprintf("does not grow: the weight before it is %s", last), weight)
	}
}

// gives says whether a step has a share, be it a wrong one.
func (c *checker) gives(path string, share Percent) bool {
	_, written := c.lines[path]
	return share != 0 || written
}

func (c *checker) approve(path string, index int, s Step) {
	if index == 0 {
		c.refusef(path+".approve", "comes first: there is no weight yet to be approved")
	}
	if _, written := c.lines[path+".for"]; written || s.For != 0 {
		c.refuse(path+".for", "does not go with approve: that lasts until somebody answers, or approve.timeout", s.For)
	}
	c.notNegative(path+".approve.timeout", s.Approve.Timeout)
}

func (c *checker) weight(path string, w Percent) {
	switch {
	case w <= 0 || w > PerMillion:
		c.refuse(path, "is not above 0% and at most 100%", w)
	case w%100 != 0:
		c.refuse(path, "has more than two decimals: traffic is split in hundredths of a percent", w)
	}
}

func (c *checker) forTime(path string, d Duration) {
	if _, written := c.lines[path]; written && d == 0 {
		c.refuse(path, "is no time at all: leave it out for the policy's limits.minStep", d)
	}
	c.notNegative(path, d)
}

func (c *checker) rollbackWindow(path string, w RollbackWindow) {
	c.atLeast(path+".versions", int64(w.Versions), 0)
	if w.Versions > MostFormers {
		c.refuse(path+".versions", fmt.Sprintf("is above %d: no more former versions are remembered", MostFormers), w.Versions)
	}
	c.notNegative(path+".age", w.Age)
	if w.Versions == 0 && w.Age != 0 && c.sound(path) {
		c.refuse(path+".age", "bounds nothing: rollbackWindow.versions is 0, so no version may come back", w.Age)
	}
}

func (c *checker) split(s FixedSplit, versions []Version) {
	const path = "spec.strategy.split.weights"
	var sum Percent
	for _, name := range slices.Sorted(maps.Keys(s.Weights)) {
		w, path := s.Weights[name], join(path, name)
		switch {
		case w < 0 || w > PerMillion:
			c.refuse(path, "is not from 0% to 100%", w)
		case w%100 != 0:
			c.refuse(path, "has more than two decimals: traffic is split in hundredths of a percent", w)
		}
		sum += w
	}
	if sum != PerMillion && c.sound(path) {
		c.refuse(path, "do not sum to 100%", sum)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Weights)) {
		c.namesVersion(join(path, name), name, versions)
	}
}

const abTestPath = "spec.strategy.abTest"

func (c *checker) abTest(t ABTest, s RouteSpec) {
	var sum Percent
	for _, name := range slices.Sorted(maps.Keys(t.Arms)) {
		c.weight(join(abTestPath+".arms", name), t.Arms[name])
		sum += t.Arms[name]
	}
	switch {
	case len(t.Arms) < 2:
		c.refuse(abTestPath+".arms", "are too few to compare: give two or more", len(t.Arms))
	case sum != PerMillion && c.sound(abTestPath+".arms"):
		c.refuse(abTestPath+".arms", "do not sum to 100%", sum)
	}
	for _, name := range slices.Sorted(maps.Keys(t.Arms)) {
		c.namesVersion(join(abTestPath+".arms", name), name, s.Versions)
	}
	if _, ok := t.Arms[t.Reference]; !ok && c.readable(abTestPath+".arms") {
		c.refuse(abTestPath+".reference", "is none of the arms: there are "+
			strings.Join(slices.Sorted(maps.Keys(t.Arms)), ", "), t.Reference)
	}
	c.outcomes(t)
}

// onlyCanary refuses what a strategy of fixed shares would ignore.
func (c *checker) onlyCanary(s RouteSpec) {
	fact := "does not go with strategy." + s.Strategy.Name() + ": that "
	if s.Target != "" {
		c.refuse("spec.target", fact+"names the versions that it serves", s.Target)
	}
	if s.InitialStable != "" {
		c.refuse("spec.initialStable", fact+"trusts no version more than another", s.InitialStable)
	}
	if s.Attempt != 0 {
		c.refuse("spec.attempt", fact+"has no attempts", s.Attempt)
	}
	if s.Analysis.Policy != "" && s.Strategy.Shadow == nil {
		c.refuse("spec.analysis.policy", fact+"is not judged", s.Analysis.Policy)
	}
	if s.Mirroring == MirroringAllowed && s.Strategy.Shadow == nil {
		c.refuse("spec.mirroring", fact+"mirrors nothing", string(s.Mirroring))
	}
}
