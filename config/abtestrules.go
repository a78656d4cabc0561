package config

import (
	"math"
	"slices"
	"time"
)

// mostOutcomes bounds what is compared by: each takes its part of the error.
const mostOutcomes = 20

// mostArms bounds what is compared: every two of them are, at every look.
const mostArms = 6

// outcomes checks what an A/B test compares by, and when it ends.
func (c *checker) outcomes(t ABTest) {
	const path = abTestPath + ".outcomes"
	if len(t.Outcomes) == 0 {
		c.unjudged(t)
		return
	}
	if len(t.Outcomes) > mostOutcomes {
		c.refuse(path, "are more than 20: each takes its part of the error", len(t.Outcomes))
	}
	if len(t.Arms) > mostArms {
		c.refuse(abTestPath+".arms", "are more than 6: every two are compared", len(t.Arms))
	}
	for i, o := range t.Outcomes {
		c.outcome(at(path, i), o)
		if slices.ContainsFunc(t.Outcomes[:i], func(earlier ABOutcome) bool { return earlier.Name == o.Name }) {
			c.refuse(at(path, i)+".name", "is that of another outcome too", o.Name)
		}
	}
	c.positive(abTestPath+".within", t.Within)
	if t.Error <= 0 || t.Error >= PerMillion/2 {
		c.refuse(abTestPath+".error", "is not above 0% and below 50%", t.Error)
	}
	c.atLeast(abTestPath+".planned", t.Planned, 1)
}

// unjudged refuses what only a judge has a use for.
func (c *checker) unjudged(t ABTest) {
	for _, f := range []struct {
		name  string
		given bool
	}{{".within", t.Within != 0}, {".error", t.Error != 0}, {".planned", t.Planned != 0}, {".endsBy", t.EndsBy.String() != ""}} {
		if f.given {
			c.refusef(abTestPath+f.name, "is for a test with outcomes: without them nothing is judged")
		}
	}
}

func (c *checker) outcome(path string, o ABOutcome) {
	if !isToken(o.Name) || len(o.Name) > 63 {
		c.refuse(path+".name", "is not a name of at most 63 letters, digits and marks such as - and _", o.Name)
	}
	oneOf(c, path+".kind", o.Kind, ABRate, ABMean, ABErrors, ABSlow)
	if !c.sound(path + ".kind") {
		return
	}
	oneOf(c, path+".better", o.Better, ABHigher, ABLower)
	if !o.Reported() && o.Better == ABHigher {
		c.refuse(path+".better", "is not what anybody wants of "+string(o.Kind), string(o.Better))
	}
	switch {
	case o.Reported():
		oneOf(c, path+".missing", o.Missing, ABZero, ABIgnored)
	case o.Missing != "":
		c.refuse(path+".missing", "is for rate and mean: access logs have every request", string(o.Missing))
	}
	c.valueBounds(path, o)
	switch _, written := c.lines[path+".limit"]; {
	case o.Kind == ABSlow:
		c.positive(path+".limit", o.Limit)
	case written || o.Limit != 0:
		c.refuse(path+".limit", "is for slow", o.Limit)
	}
}

// valueBounds checks what the values of a mean lie between.
func (c *checker) valueBounds(path string, o ABOutcome) {
	for _, bound := range []struct {
		field string
		value *float64
	}{{".min", o.Min}, {".max", o.Max}} {
		switch {
		case bound.value == nil:
		case o.Kind != ABMean:
			c.refuse(path+bound.field, "is for mean: the others are 0 or 1", *bound.value)
		case !(math.Abs(*bound.value) <= MostValue):
			c.refuse(path+bound.field, "is beyond a billion", *bound.value)
		}
	}
	if o.Min != nil && o.Max != nil && *o.Min >= *o.Max && c.sound(path) {
		c.refuse(path+".max", "is not above min", *o.Max)
	}
	if o.Missing == ABZero && c.sound(path) && (o.Min != nil && *o.Min > 0 || o.Max != nil && *o.Max < 0) {
		c.refuse(path+".missing", "is not between min and max", string(o.Missing))
	}
}

// MostValue bounds a value that is reported.
const MostValue = 1e9

// Defaults of a test with outcomes.
const (
	defaultWithin  = Duration(time.Hour)
	defaultError   = Percent(5 * perPercent)
	defaultPlanned = 1000
)

// outcomeDefaults fills in what depends on the kind of an outcome.
func (t ABTest) outcomeDefaults(written func(path string) bool) ABTest {
	const path = "strategy.abTest"
	if len(t.Outcomes) == 0 {
		return t
	}
	if t.Within == 0 && !written(path+".within") {
		t.Within = defaultWithin
	}
	if t.Error == 0 && !written(path+".error") {
		t.Error = defaultError
	}
	if t.Planned == 0 && !written(path+".planned") {
		t.Planned = defaultPlanned
	}
	outcomes := slices.Clone(t.Outcomes)
	for i := range outcomes {
		o, path := &outcomes[i], at(path+".outcomes", i)
		if o.Better == "" && !written(path+".better") {
			o.Better = ABHigher
			if !o.Reported() {
				o.Better = ABLower
			}
		}
		if o.Missing == "" && !written(path+".missing") {
			o.Missing = map[ABKind]ABMissing{ABRate: ABZero, ABMean: ABIgnored}[o.Kind]
		}
	}
	t.Outcomes = outcomes
	return t
}
