package config

import "reflect"

// Default fills in what was left out. In Go a zero is left out; Parse tells the
// two apart and keeps a zero that was written.
func (s RouteSpec) Default() RouteSpec {
	defaults(reflect.ValueOf(&s).Elem())
	return s.conditionalDefaults(nothing)
}

// Default fills in what was left out. In Go a zero is left out; Parse tells the
// two apart and keeps a zero that was written.
func (s PolicySpec) Default() PolicySpec {
	defaults(reflect.ValueOf(&s).Elem())
	return s.conditionalDefaults(nothing)
}

func nothing(string) bool { return false }

// defaults sets every zero field that has a `default` tag, in copies of what v
// points to.
func defaults(v reflect.Value) {
	switch {
	case isText(v.Type()):
	case v.Kind() == reflect.Pointer && !v.IsNil():
		fresh := reflect.New(v.Type().Elem())
		fresh.Elem().Set(v.Elem())
		defaults(fresh.Elem())
		v.Set(fresh)
	case v.Kind() == reflect.Slice && !v.IsNil():
		fresh := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(fresh, v)
		for i := range fresh.Len() {
			defaults(fresh.Index(i))
		}
		v.Set(fresh)
	case v.Kind() == reflect.Struct:
		for _, f := range fieldsOf(v.Type()) {
			if v.Field(f.index).IsZero() {
				setDefault(v.Field(f.index), f.fallback)
			}
			defaults(v.Field(f.index))
		}
	}
}

// conditionalDefaults fills in what depends on other fields. written says which
// paths a user wrote.
func (s RouteSpec) conditionalDefaults(written func(path string) bool) RouteSpec {
	if retry := s.Protect.RetryOnStable; retry != nil && len(retry.On) == 0 && !written("protect.retryOnStable.on") {
		fresh := *retry
		fresh.On = defaultFailures()
		s.Protect.RetryOnStable = &fresh
	}
	if s.Strategy.ABTest != nil {
		test := s.Strategy.ABTest.outcomeDefaults(written)
		s.Strategy.ABTest = &test
	}
	if s.Strategy.Canary == nil {
		return s
	}
	if len(s.Versions) == 1 {
		if s.Target == "" && !written("target") {
			s.Target = s.Versions[0].Name
		}
		if s.InitialStable == "" && !written("initialStable") {
			s.InitialStable = s.Versions[0].Name
		}
	}
	if s.Analysis.Policy == "" && !written("analysis.policy") {
		s.Analysis.Policy = DefaultPolicy
	}
	return s
}

// Defaults of a metric that only one kind of metric has.
const (
	defaultBurstCap = 3
	defaultTop      = 5
)

func defaultQuantiles() []Quantile { return []Quantile{0.5, 0.95, 0.99} }

func (s PolicySpec) conditionalDefaults(written func(path string) bool) PolicySpec {
	if len(s.Metrics) == 0 {
		return s
	}
	metrics := make([]Metric, len(s.Metrics))
	for i, m := range s.Metrics {
		path := at("metrics", i)
		if m.counted() && m.BurstCap == 0 && !written(path+".burstCap") {
			m.BurstCap = defaultBurstCap
		}
		if m.Compare != nil && m.Compare.By == CompareTopK && m.Compare.Top == 0 && !written(path+".compare.top") {
			fresh := *m.Compare
			fresh.Top, m.Compare = defaultTop, &fresh
		}
		comparesTimes := m.Name.Timed() && m.VersusStable != nil
		if comparesTimes && len(m.Quantiles) == 0 && !written(path+".quantiles") {
			m.Quantiles = defaultQuantiles()
		}
		metrics[i] = m
	}
	s.Metrics = metrics
	return s
}
