package config

import (
	"fmt"
	"slices"
	"strings"
)

// mostTop bounds what topK looks for.
const mostTop = 100

// comparator checks what is compared of two answers.
func (c *checker) comparator(path string, m Compare) {
	bodies := []Comparator{CompareJSON, CompareLabel, CompareTopK, CompareNumeric, CompareCosine}
	if !oneOf(c, path+".by", m.By, append([]Comparator{CompareStatus, CompareDigest}, bodies...)...) {
		return
	}
	c.belongs(path+".field", m.By, m.Field != "", bodies...)
	c.belongs(path+".hide", m.By, len(m.Hide) > 0, bodies...)
	c.belongs(path+".ignore", m.By, len(m.Ignore) > 0, CompareJSON)
	c.belongs(path+".top", m.By, m.Top != 0, CompareTopK)
	c.belongs(path+".tolerance", m.By, m.Tolerance != 0, CompareNumeric, CompareCosine)
	if m.By.Bodies() && m.By != CompareJSON && m.Field == "" {
		c.refusef(path+".field", "is required of %s: where in the body it is, as outputs.0.data", m.By)
	}
	c.inBody(path+".field", m.Field)
	for _, list := range []struct {
		name   string
		fields []string
	}{{"ignore", m.Ignore}, {"hide", m.Hide}} {
		for i, field := range list.fields {
			if field == "" {
				c.refusef(at(path+"."+list.name, i), "is empty")
			}
			c.inBody(at(path+"."+list.name, i), field)
		}
	}
	if m.By == CompareTopK && (m.Top < 1 || m.Top > mostTop) {
		c.refuse(path+".top", fmt.Sprintf("is not from 1 to %d", mostTop), m.Top)
	}
	if (m.By == CompareNumeric || m.By == CompareCosine) && (m.Tolerance <= 0 || m.Tolerance >= PerMillion) {
		c.refuse(path+".tolerance", "is not above 0% and below 100%", m.Tolerance)
	}
}

// belongs refuses a field that others than this comparator have.
func (c *checker) belongs(path string, by Comparator, given bool, to ...Comparator) { //nolint:revive // whether it is written
	if !given || slices.Contains(to, by) {
		return
	}
	names := make([]string, len(to))
	for i, one := range to {
		names[i] = string(one)
	}
	c.refusef(path, "is for %s, not for %s", strings.Join(names, ", "), by)
}

// inBody checks where in a body something is.
func (c *checker) inBody(path, field string) {
	if field != "" && slices.Contains(strings.Split(field, "."), "") {
		c.refuse(path, "has an empty name between its dots", field)
	}
}

// comparesBodies checks that a route's answers have bodies that can be compared.
func (c *checker) comparesBodies(r InferenceRoute, m Metric) {
	if m.Compare.By.Bodies() && r.Protocol == ProtocolGRPC {
		c.refuse("spec.analysis.policy", "compares answers by "+string(m.Compare.By)+
			", which reads JSON bodies, and those of gRPC are none: by digest does", r.Analysis.Policy)
	}
}
