package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

func (c *checker) strategy(s RouteSpec) {
	switch n := s.Strategy.given(); {
	case n == 0:
		c.lacks("spec.strategy", "has none of canary, split and abTest: give exactly one")
	case n > 1:
		c.refusef("spec.strategy", "has more than one of canary, split and abTest: give exactly one")
	case s.Strategy.Canary != nil:
		c.arms(s)
		c.canary(*s.Strategy.Canary)
	case s.Strategy.Split != nil:
		c.split(*s.Strategy.Split, s.Versions)
		c.onlyCanary(s)
	case s.Strategy.ABTest != nil:
		c.abTest(*s.Strategy.ABTest, s)
		c.onlyCanary(s)
	}
}

// given counts the strategies that were written.
func (s Strategy) given() (n int) {
	for _, written := range []bool{s.Canary != nil, s.Split != nil, s.ABTest != nil} {
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

func (c *checker) canary(canary Canary) {
	if len(canary.Steps) == 0 {
		c.lacks(canaryPath+".steps", "is empty: a candidate needs a first share to be judged by")
	}
	last := Percent(0)
	for i, step := range canary.Steps {
		path := at(canaryPath+".steps", i)
		c.step(path, i, step)
		if step.Approve != nil || !c.weighted(path, step) || !c.sound(path+".weight") {
			continue
		}
		if step.Weight <= last {
			c.refuse(path+".weight", fmt.Sprintf("does not grow: the weight before it is %s", last), step.Weight)
		}
		last = max(last, step.Weight)
	}
	c.notNegative(canaryPath+".bake", canary.Bake)
	c.rollbackWindow(canaryPath+".rollbackWindow", canary.RollbackWindow)
}

func (c *checker) step(path string, index int, s Step) {
	hasWeight := c.weighted(path, s)
	switch {
	case hasWeight && s.Approve != nil:
		c.refusef(path, "has both weight and approve: make them two steps")
	case s.Approve != nil:
		c.approve(path, index, s)
	case !hasWeight:
		c.lacks(path, "has neither weight nor approve: `approve: {}` waits for a person")
	default:
		c.weight(path+".weight", s.Weight)
		c.forTime(path+".for", s.For)
	}
}

// weighted says whether a step has a weight, be it a wrong one.
func (c *checker) weighted(path string, s Step) bool {
	_, written := c.lines[path+".weight"]
	return s.Weight != 0 || written
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
		c.namesVersion(path, name, versions)
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
}

const abTestPath = "spec.strategy.abTest"

func (c *checker) abTest(t ABTest, s RouteSpec) {
	var sum Percent
	for _, name := range slices.Sorted(maps.Keys(t.Arms)) {
		path := join(abTestPath+".arms", name)
		c.namesVersion(path, name, s.Versions)
		c.weight(path, t.Arms[name])
		sum += t.Arms[name]
	}
	switch {
	case len(t.Arms) < 2:
		c.refuse(abTestPath+".arms", "are too few to compare: give two or more", len(t.Arms))
	case sum != PerMillion && c.sound(abTestPath+".arms"):
		c.refuse(abTestPath+".arms", "do not sum to 100%", sum)
	}
	if _, ok := t.Arms[t.Reference]; !ok && c.readable(abTestPath+".arms") {
		c.refuse(abTestPath+".reference", "is none of the arms: there are "+
			strings.Join(slices.Sorted(maps.Keys(t.Arms)), ", "), t.Reference)
	}
	if s.Stickiness == nil {
		c.refusef(stickinessPath, "is required with strategy.abTest: what is compared is units, and each has to stay with its arm")
	}
}

// onlyCanary refuses what a strategy of fixed shares would ignore.
func (c *checker) onlyCanary(s RouteSpec) {
	fact := "does not go with strategy." + s.Strategy.Name() + ": that "
	if s.Target != "" {
		c.refuse("spec.target", fact+"serves every version by its share", s.Target)
	}
	if s.InitialStable != "" {
		c.refuse("spec.initialStable", fact+"trusts no version more than another", s.InitialStable)
	}
	if s.Attempt != 0 {
		c.refuse("spec.attempt", fact+"has no attempts", s.Attempt)
	}
	if s.Analysis.Policy != "" {
		c.refuse("spec.analysis.policy", fact+"is not judged", s.Analysis.Policy)
	}
	if s.Mirroring == MirroringAllowed {
		c.refuse("spec.mirroring", fact+"mirrors nothing", string(s.Mirroring))
	}
}
