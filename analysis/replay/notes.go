package replay

import (
	"fmt"
	"slices"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

// passedOver says how many lines count nowhere because they are not as they should be.
func (r *run) passedOver() []string {
	if r.skipped == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d of %d lines were passed over and count nowhere, the first of them line %d: %s",
		r.skipped, r.lines.number, r.firstBad.Line, r.firstBad.Fact)}
}

// lacks counts what lines of the arms say beyond what they must.
type lacks struct{ lines, pods, segments, firstBytes, perTokens int64 }

func (l *lacks) see(r analysis.Request) {
	l.lines++
	for _, has := range []struct {
		it    bool
		count *int64
	}{{r.Pod != "", &l.pods}, {r.Segment != "", &l.segments}, {r.FirstByte > 0, &l.firstBytes}, {r.PerToken > 0, &l.perTokens}} {
		if has.it {
			*has.count++
		}
	}
}

// notes say what the policy or the caller asks for and no line has.
func (l *lacks) notes(p config.PolicySpec, segments int) (notes []string) {
	if l.lines == 0 {
		return nil
	}
	watched := func(name config.MetricName) bool {
		return slices.ContainsFunc(p.Metrics, func(m config.Metric) bool { return m.Name == name && m.Prometheus == nil })
	}
	if l.pods < l.lines {
		notes = append(notes, fmt.Sprintf(`%d of %d lines have no "pod", or "upstream_host" in an Envoy's log: `+
			"those of a version count as one pod's, and latency is compared by pods", l.lines-l.pods, l.lines))
	}
	if watched(config.MetricTTFB) && l.firstBytes == 0 {
		notes = append(notes, `no line has a "ttfb_ms", or "response_duration" in an Envoy's log: ttfb was not judged`)
	}
	if watched(config.MetricTPOT) && l.perTokens == 0 {
		notes = append(notes, `no line has a "tpot_ms", or "x_sluice_tokens" in an Envoy's log: tpot was not judged`)
	}
	if segments > 0 && l.segments == 0 {
		notes = append(notes, `no line has a "segment": none was watched on its own`)
	}
	return notes
}
