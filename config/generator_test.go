package config

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"
)

// anyConfig draws a whole, valid config.
func anyConfig() *rapid.Generator[*Config] {
	return rapid.Custom(func(t *rapid.T) *Config {
		c := &Config{}
		for i := range rapid.IntRange(0, 3).Draw(t, "policies") {
			p := AnalysisPolicy{Key: Key{Namespace: "ml", Name: fmt.Sprintf("policy-%d", i)}, PolicySpec: anyPolicy().Draw(t, "policy")}
			c.Policies = append(c.Policies, p)
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "routes") {
			r := InferenceRoute{Key: Key{Namespace: "ml", Name: fmt.Sprintf("route-%d", i)}, Metadata: anyMetadata().Draw(t, "metadata")}
			r.RouteSpec = anyRoute().Draw(t, "route")
			r.Listener.Port = uint32(8000 + i) // its own, so that no two can tie
			if len(c.Policies) > 0 && fits(r, c.Policies[0]) && rapid.Bool().Draw(t, "own policy") {
				r.Analysis.Policy = c.Policies[0].Name
			}
			c.Routes = append(c.Routes, r)
		}
		return c
	})
}

// fits says whether a route may name a policy.
func fits(r InferenceRoute, p AnalysisPolicy) bool {
	m, compared := p.Answers()
	if compared && m.Compare.By.Bodies() && r.Protocol == ProtocolGRPC {
		return false
	}
	if r.Strategy.Canary == nil {
		return r.Strategy.Shadow != nil && compared
	}
	return !compared || r.Strategy.Canary.shadows()
}

func anyMetadata() *rapid.Generator[Metadata] {
	return rapid.Custom(func(t *rapid.T) Metadata {
		if rapid.Bool().Draw(t, "bare") {
			return Metadata{}
		}
		texts := rapid.MapOfN(rapid.StringMatching(`[a-z./-]{1,9}`), anyText(), 1, 3)
		return Metadata{Labels: texts.Draw(t, "labels"), Annotations: texts.Draw(t, "annotations")}
	})
}

// anyText draws what YAML must take care to write: words, numbers, signs and
// lines.
func anyText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"", " ", "null", "~", "true", "no", "1", "1.5", "0x1f", "2026-01-02", "- a", "a: b", "# a", "'", `"`, "\n", " a\nb\n\n", "<<", "*a", "&a", "%", "@", "---"}),
		rapid.String(),
	)
}

func anyRoute() *rapid.Generator[RouteSpec] {
	return rapid.Custom(func(t *rapid.T) RouteSpec {
		s := RouteSpec{
			Hostnames: rapid.SampledFrom([][]string{nil, {"a.ml"}, {"b.ml", "c.example.com"}}).Draw(t, "hostnames"),
			Listener:  Listener{Address: rapid.SampledFrom([]string{"127.0.0.1", "::1", "0.0.0.0"}).Draw(t, "address")},
			Protocol:  rapid.SampledFrom([]Protocol{ProtocolHTTP, ProtocolGRPC, ProtocolOpenAI}).Draw(t, "protocol"),
			Timeouts:  Timeouts{Request: positive().Draw(t, "request")},
			Versions:  anyVersions().Draw(t, "versions"),
			Mirroring: MirroringForbidden,
			Stickiness: rapid.SampledFrom([]*Stickiness{
				nil, {Header: "x-user-id"}, {ClientAddress: &ClientAddress{}}, {Cookie: &UnitCookie{Name: "unit"}}, {Cookie: &UnitCookie{Name: "u~%", TTL: Duration(time.Hour)}},
			}).Draw(t, "stickiness"),
		}
		s.Matches = anyMatches(s.Protocol).Draw(t, "matches")
		if rapid.Bool().Draw(t, "overrides") {
			version := rapid.SampledFrom(versionNames(s.Versions)).Draw(t, "overridden")
			s.Overrides = []Override{
				{Header: &HeaderMatch{Name: "X-Tester", Type: HeaderExpression, Value: "a|b"}, Version: version},
				{Cookie: &CookieMatch{Name: "tester", Value: "a=b"}, Version: version},
			}
		}
		if rapid.Bool().Draw(t, "split") {
			s.Strategy.Split = &FixedSplit{Weights: map[string]Percent{s.Versions[0].Name: PerMillion}}
			return s
		}
		if s.Stickiness != nil && len(s.Versions) > 1 && rapid.Bool().Draw(t, "a/b test") {
			first := Percent(rapid.Int64Range(1, WholeSplit-1).Draw(t, "first arm")) * 100
			s.Strategy.ABTest = &ABTest{
				Arms:      map[string]Percent{s.Versions[0].Name: first, s.Versions[1].Name: PerMillion - first},
				Reference: s.Versions[1].Name,
			}
			if rapid.Bool().Draw(t, "outcomes") {
				judgeOutcomes(t, s.Strategy.ABTest)
			}
			return s
		}
		if len(s.Versions) > 1 && rapid.Bool().Draw(t, "shadow") {
			s.Strategy.Shadow = &Shadow{Of: s.Versions[0].Name, To: s.Versions[1].Name, Percent: Percent(rapid.Int64Range(1, WholeSplit).Draw(t, "percent")) * 100}
			s.Mirroring = MirroringAllowed
			return s
		}
		s.Strategy.Canary = anyCanary().Draw(t, "canary")
		s.Target = rapid.SampledFrom(versionNames(s.Versions)).Draw(t, "target")
		s.InitialStable = rapid.SampledFrom(versionNames(s.Versions)).Draw(t, "stable")
		s.Attempt = rapid.Int64Range(0, 1<<62).Draw(t, "attempt")
		s.Mirroring = rapid.SampledFrom([]Mirroring{MirroringForbidden, MirroringAllowed}).Draw(t, "mirroring")
		if s.Mirroring == MirroringAllowed && rapid.Bool().Draw(t, "shadow step") {
			s.Strategy.Canary.Steps = append([]Step{{Shadow: 100_000, For: notNegative().Draw(t, "shadowed")}}, s.Strategy.Canary.Steps...)
		}
		s.Analysis.Policy = DefaultPolicy
		s.Protect.RetryOnStable = rapid.SampledFrom([]*RetryOnStable{
			nil, {On: defaultFailures(), Budget: 200_000}, {On: []Failure{Failure5xx}, Budget: PerMillion},
		}).Draw(t, "retry")
		return s
	})
}

// judgeOutcomes gives a test one outcome of each kind.
func judgeOutcomes(t *rapid.T, test *ABTest) {
	low, high, date := -1.5, 1e9, time.Unix(1.8e9, 0).UTC()
	test.Within = positive().Draw(t, "within")
	test.Error = Percent(rapid.Int64Range(1, PerMillion/2-1).Draw(t, "error"))
	test.Planned = rapid.Int64Range(1, 1<<40).Draw(t, "planned")
	test.EndsBy = rapid.SampledFrom([]EndsBy{{}, {Decision: true}, {Date: date}, {Decision: true, Date: date}}).Draw(t, "ends by")
	test.Outcomes = []ABOutcome{
		{Name: "clicks", Kind: ABRate, Better: ABHigher, Missing: ABZero},
		{Name: "rating", Kind: ABMean, Better: ABLower, Missing: ABIgnored, Min: &low, Max: &high},
		{Name: "failures", Kind: ABErrors, Better: ABLower},
		{Name: "slow", Kind: ABSlow, Better: ABLower, Limit: Duration(time.Second)},
	}
}

func anyMatches(p Protocol) *rapid.Generator[[]Match] {
	paths := []*PathMatch{
		nil,
		{Type: PathPrefix, Value: "/v2"},
		{Type: PathExact, Value: "/v2/models/%7E"},
		{Type: PathExpression, Value: `/v2/[^/]+/(infer|"ready")`},
	}
	headers := [][]HeaderMatch{
		nil,
		{{Name: "x-a", Type: HeaderExact, Value: "1"}},
		{{Name: "X-B", Type: HeaderExpression, Value: `\d+`}, {Name: "x-c", Type: HeaderExact, Value: "it's: #"}},
	}
	match := rapid.Custom(func(t *rapid.T) Match {
		m := Match{
			Path:    rapid.SampledFrom(paths).Draw(t, "path"),
			Headers: rapid.SampledFrom(headers).Draw(t, "headers"),
			Method:  rapid.SampledFrom([]string{"GET", "POST"}).Draw(t, "method"),
		}
		if p == ProtocolGRPC && rapid.Bool().Draw(t, "grpc") {
			m.Path = nil
			m.GRPC = rapid.SampledFrom([]*GRPCMatch{{Service: "a.B"}, {Method: "C"}, {Service: "a.B", Method: "C"}}).Draw(t, "call")
		}
		if p == ProtocolOpenAI {
			m.Model = rapid.SampledFrom([]string{"", "meta/llama-3.1", " a \"model\""}).Draw(t, "model")
		}
		return m
	})
	return rapid.Custom(func(t *rapid.T) []Match {
		matches := rapid.SliceOfNDistinct(match, 0, 3, normal).Draw(t, "matches")
		if len(matches) == 0 {
			return nil
		}
		return matches
	})
}

func anyVersions() *rapid.Generator[[]Version] {
	return rapid.Custom(func(t *rapid.T) []Version {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?`), 1, 4, rapid.ID).Draw(t, "names")
		versions := make([]Version, len(names))
		for i, name := range names {
			v := Version{Name: name}
			for j := range rapid.IntRange(1, 3).Draw(t, "pods") {
				v.Endpoints = append(v.Endpoints, fmt.Sprintf("10.0.%d.%d:8000", i, j))
			}
			if rapid.Bool().Draw(t, "health") {
				v.Health = &Health{Path: "/v2/health/ready", Interval: positive().Draw(t, "interval")}
			}
			if rapid.Bool().Draw(t, "model") {
				v.Model = &Model{Name: "m" + anyText().Draw(t, "model"), Version: anyText().Draw(t, "version")}
			}
			versions[i] = v
		}
		return versions
	})
}

func anyCanary() *rapid.Generator[*Canary] {
	return rapid.Custom(func(t *rapid.T) *Canary {
		c := &Canary{Bake: notNegative().Draw(t, "bake")}
		weights := rapid.SliceOfNDistinct(rapid.Int64Range(1, WholeSplit), 1, 6, rapid.ID).Draw(t, "weights")
		slices.Sort(weights)
		for _, w := range weights {
			c.Steps = append(c.Steps, Step{Weight: Percent(w * 100), For: notNegative().Draw(t, "for")})
			if rapid.Bool().Draw(t, "approve") {
				c.Steps = append(c.Steps, Step{Approve: &Approve{Timeout: notNegative().Draw(t, "timeout")}})
			}
		}
		if c.RollbackWindow.Versions = rapid.IntRange(0, 5).Draw(t, "window"); c.RollbackWindow.Versions > 0 {
			c.RollbackWindow.Age = notNegative().Draw(t, "age")
		}
		return c
	})
}

func anyPolicy() *rapid.Generator[PolicySpec] {
	return rapid.Custom(func(t *rapid.T) PolicySpec {
		chance := rapid.Map(rapid.Int64Range(1, PerMillion/2-1), func(p int64) Percent { return Percent(p) })
		limits := Limits{
			MinStep:            notNegative().Draw(t, "minStep"),
			MinRequestsPerStep: rapid.Int64Range(0, 1<<40).Draw(t, "minRequests"),
			OnInconclusive:     rapid.SampledFrom([]Fallback{FallbackHold, FallbackPromote, FallbackRollback}).Draw(t, "onInconclusive"),
			ProgressDeadline:   positive().Draw(t, "deadline"),
			MaxBlind:           positive().Draw(t, "maxBlind"),
			AckTimeout:         positive().Draw(t, "ackTimeout"),
		}
		unit := Unit{Block: Duration(time.Second) + notNegative().Draw(t, "block")}
		limits.MaxDuration = max(limits.MinStep, unit.Block) + positive().Draw(t, "maxDuration")
		return PolicySpec{
			Confidence: Confidence{FalseRollback: chance.Draw(t, "alpha"), FalsePromotion: chance.Draw(t, "beta")},
			Limits:     limits,
			Warmup:     Warmup{PerPod: notNegative().Draw(t, "perPod"), Requests: rapid.Int64Range(0, 1<<40).Draw(t, "requests")},
			Unit:       unit,
			Metrics:    anyMetrics().Draw(t, "metrics"),
			Trip: Trip{
				Level:   Percent(rapid.Int64Range(900_000, 999_900).Draw(t, "level")),
				Latency: anyRatio(1).Draw(t, "latency"),
				Settle:  positive().Draw(t, "settle"),
				OnTrip:  rapid.SampledFrom([]Fallback{FallbackHold, FallbackRetry, FallbackRollback}).Draw(t, "onTrip"),
				Limit:   rapid.IntRange(1, 1000).Draw(t, "limit"),
			},
		}
	})
}

func anyMetrics() *rapid.Generator[[]Metric] {
	return rapid.Custom(func(t *rapid.T) []Metric {
		weight := rapid.Float64Range(0.001, 1e6)
		failures, slow := Metric{Name: MetricErrors, Weight: weight.Draw(t, "weight"), BurstCap: weight.Draw(t, "cap")}, Metric{Name: MetricLatency, Weight: weight.Draw(t, "weight")}
		if rapid.Bool().Draw(t, "error slo") {
			limit := Percent(rapid.Int64Range(1, PerMillion-1).Draw(t, "max"))
			failures.SLO = &SLO{Max: &limit}
		}
		if failures.SLO == nil || rapid.Bool().Draw(t, "errors versus") {
			failures.VersusStable = anyComparison(failures.SLO).Draw(t, "errors versus stable")
			failures.VersusStable.Floor = Percent(rapid.Int64Range(0, PerMillion-1).Draw(t, "floor"))
		}
		if rapid.Bool().Draw(t, "latency slo") {
			p50 := positive().Draw(t, "p50")
			p90 := p50 + notNegative().Draw(t, "p90")
			slow.SLO = &SLO{P50: &p50, P90: &p90}
		}
		if slow.SLO == nil || rapid.Bool().Draw(t, "latency versus") {
			slow.VersusStable = anyComparison(slow.SLO).Draw(t, "latency versus stable")
			slow.Quantiles = rapid.SliceOfNDistinct(rapid.SampledFrom([]Quantile{0.5, 0.9, 0.95, 0.99, 0.999, 0.000001, 0.999999}), 1, 5, rapid.ID).Draw(t, "quantiles")
		}
		own := slow
		own.Name = rapid.SampledFrom([]MetricName{MetricTTFB, MetricTPOT}).Draw(t, "time")
		counts := failures
		counts.Name, counts.Prometheus = "own", &Prometheus{URL: "http://p:9090", Bad: "b($version)", Total: "t($version)", Interval: 15e9, Stale: 60e9}
		answers := failures
		answers.Name, answers.BurstCap, answers.Compare = MetricAnswers, 0, rapid.SampledFrom([]*Compare{
			{By: CompareDigest, Within: 10e9},
			{By: CompareTopK, Field: "a.0", Top: 7, Hide: []string{"b"}, Within: 1e9},
			{By: CompareCosine, Field: "e", Tolerance: 100, Within: 1e9},
		}).Draw(t, "compare")
		if answers.VersusStable != nil {
			versus := *answers.VersusStable
			versus.Floor, answers.VersusStable = 0, &versus
		}
		return rapid.SampledFrom([][]Metric{{failures}, {slow}, {failures, slow}, {own, slow}, {counts, failures}, {answers, slow}}).Draw(t, "metrics")
	})
}

func anyComparison(slo *SLO) *rapid.Generator[*VersusStable] {
	return rapid.Custom(func(t *rapid.T) *VersusStable {
		rollback := anyRatio(1).Draw(t, "rollbackIf")
		return &VersusStable{
			RollbackIf: rollback,
			PromoteIf:  Below{Ratio: float64(anyRatio(float64(rollback)*1.04+0.01).Draw(t, "promoteIf")), OrSLO: slo != nil && rapid.Bool().Draw(t, "or slo")},
		}
	})
}

// anyRatio draws what six decimals can write, from least up.
func anyRatio(least float64) *rapid.Generator[Above] {
	return rapid.Map(rapid.Int64Range(int64(least*1e6)+1, int64(least*1e6)+1e9), func(millionths int64) Above { return Above(float64(millionths) / 1e6) })
}

func positive() *rapid.Generator[Duration] {
	return rapid.Map(rapid.Int64Range(1, 1<<55), func(ns int64) Duration { return Duration(ns) })
}

func notNegative() *rapid.Generator[Duration] {
	return rapid.OneOf(rapid.Just(Duration(0)), positive())
}
