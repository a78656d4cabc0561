package config

import (
	"fmt"
	"math"
	"slices"
)

// Advise names what is allowed and yet probably not what the user wants, mostly
// because the evidence it leaves is weak. It never stops a config.
func Advise(c *Config) []Mistake {
	var advice Mistakes
	named := map[Key]bool{}
	for _, r := range c.Routes {
		adviser := &checker{document: KindRoute + " " + r.Key.String()}
		key := Key{Namespace: r.Namespace, Name: r.Analysis.Policy}
		named[key] = true
		adviser.adviseRoute(r.RouteSpec)
		adviser.adviseStickiness(r.RouteSpec)
		if policy, ok := c.Policy(key); ok && r.Strategy.Canary != nil {
			adviser.adviseCanary(r.RouteSpec, policy)
		}
		advice = append(advice, adviser.mistakes...)
	}
	for _, p := range c.Policies {
		if !named[p.Key] {
			adviser := &checker{document: KindPolicy + " " + p.Key.String()}
			adviser.refusef("", "is named by no inference route of its namespace")
			advice = append(advice, adviser.mistakes...)
		}
	}
	return advice
}

func (c *checker) adviseRoute(s RouteSpec) {
	digests := map[string]string{}
	for i, v := range s.Versions {
		if split := s.Strategy.Split; split != nil && split.Weights[v.Name] == 0 {
			c.refusef("spec.strategy.split.weights", "gives version %s nothing", v.Name)
		}
		if test := s.Strategy.ABTest; test != nil && test.Arms[v.Name] == 0 {
			c.refusef(abTestPath+".arms", "gives version %s nothing", v.Name)
		}
		if v.Model == nil || v.Model.Digest == "" {
			continue
		}
		if other, taken := digests[v.Model.Digest]; taken {
			c.refuse(at("spec.versions", i)+".model.digest", "is that of version "+other+
				" too: a rollout between them changes nothing", v.Model.Digest)
		}
		digests[v.Model.Digest] = v.Name
	}
	for i, m := range s.Matches {
		if s.Protocol == ProtocolGRPC && m.Method != "" && m.Method != methodOfGRPC {
			c.refuse(at("spec.matches", i)+".method", "matches nothing: every gRPC request is a POST", m.Method)
		}
	}
}

// methodOfGRPC is the one that every gRPC request has.
const methodOfGRPC = "POST"

func (c *checker) adviseCanary(s RouteSpec, p PolicySpec) {
	canary := *s.Strategy.Canary
	if s.Mirroring == MirroringForbidden {
		c.refuse("spec.mirroring", fmt.Sprintf(
			"keeps mirrored traffic from settling a trip, so the policy's trip.onTrip, %s, decides each one", p.Trip.OnTrip),
			string(s.Mirroring))
	}
	c.adviseProtection(s.Protect.RetryOnStable, canary)
	c.adviseTime(canary, p)
	c.adviseWhole(canary, p)
	candidate, ok := s.Version(s.Target)
	stable, known := s.Version(s.InitialStable)
	if !ok || !known || s.Target == s.InitialStable {
		return
	}
	i := slices.IndexFunc(s.Versions, func(v Version) bool { return v.Name == s.Target })
	path := at("spec.versions", i) + ".endpoints"
	c.advisePods(path, stable, candidate, p)
	c.adviseLoad(stable, candidate, canary)
}

// adviseTime compares the least time of all steps with the longest rollout.
func (c *checker) adviseTime(canary Canary, p PolicySpec) {
	var least Duration
	for _, step := range canary.Steps {
		switch {
		case step.Approve != nil:
		case step.For > 0:
			least += step.For
		default:
			least += p.Limits.MinStep
		}
	}
	if least >= p.Limits.MaxDuration {
		c.refusef(canaryPath+".steps", "last %s at the least, and the policy's limits.maxDuration is %s: no rollout could end in time",
			least, p.Limits.MaxDuration)
	}
}

// adviseWhole names a step that leaves nothing to compare with.
func (c *checker) adviseWhole(canary Canary, p PolicySpec) {
	compares := slices.ContainsFunc(p.Metrics, func(m Metric) bool { return m.VersusStable != nil })
	for i, step := range canary.Steps {
		if step.Weight == PerMillion && compares {
			c.refuse(at(canaryPath+".steps", i)+".weight",
				"leaves stable no requests, so versusStable gathers no evidence in this step", step.Weight)
		}
	}
}

// fewPods is where the rank of pods gives way to the sign of blocks.
const fewPods = 4

// advisePods says what so few pods can and cannot show of latency.
func (c *checker) advisePods(path string, stable, candidate Version, p PolicySpec) {
	i := slices.IndexFunc(p.Metrics, func(m Metric) bool { return m.Name.Timed() && m.VersusStable != nil })
	if i < 0 {
		return
	}
	all, one := len(stable.Endpoints)+len(candidate.Endpoints), len(candidate.Endpoints)
	if one == 1 {
		c.refusef(path, "is one pod: a slow node cannot be told from a slow version")
	}
	if all < fewPods {
		c.refusef(path, "and those of version %s are %d pods together: below %d, latency is judged by the sign of whole blocks, "+
			"which is slow", stable.Name, all, fewPods)
		return
	}
	needed := math.Log(1 / p.Confidence.FalsePromotion.Fraction())
	least := Duration(blocks(needed, all, one)) * p.Unit.Block
	if least >= p.Limits.MaxDuration {
		c.refusef(path, "and those of version %s are %d pods together: latency needs %s at the best to promote, "+
			"and the policy's limits.maxDuration is %s", stable.Name, all, least, p.Limits.MaxDuration)
	}
}

// blocks counts those in which pod ranks can gather so many nats at the best:
// log C(all, one) each.
func blocks(nats float64, all, one int) int64 {
	lnAll, _ := math.Lgamma(float64(all + 1))
	lnOne, _ := math.Lgamma(float64(one + 1))
	lnRest, _ := math.Lgamma(float64(all - one + 1))
	return int64(math.Ceil(nats / (lnAll - lnOne - lnRest)))
}

// overload is how much more than a stable pod's usual share a candidate pod may
// serve before its latency says more of its load than of its version.
const overload = 1.5

// adviseLoad names the first step whose share is too much for the candidate's
// pods.
func (c *checker) adviseLoad(stable, candidate Version, canary Canary) {
	ratio := float64(len(stable.Endpoints)) / float64(len(candidate.Endpoints))
	for i, step := range canary.Steps {
		if load := step.Weight.Fraction() * ratio; load > overload {
			c.refuse(at(canaryPath+".steps", i)+".weight", fmt.Sprintf(
				"gives each of the candidate's pods %.1f times what a pod of stable serves without a rollout (%d pods for %d): "+
					"load would look like latency", load, len(candidate.Endpoints), len(stable.Endpoints)), step.Weight)
			return
		}
	}
	if ratio > overload {
		c.refusef(canaryPath, "promotes %d pods to the work of %d: each would serve %.1f times as much",
			len(candidate.Endpoints), len(stable.Endpoints), ratio)
	}
}
