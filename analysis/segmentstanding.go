package analysis

// segmentStandings are the tests of the segments that the candidate has served.
func (j *judgement) segmentStandings(all standing) []standing {
	if j.e.Segments == nil {
		return nil
	}
	var ss []standing
	for _, g := range j.e.Segments.Each {
		if g.Candidate.N == 0 {
			continue
		}
		s := all
		s.Test = Test{
			Metric: all.Metric, Method: all.Method, Direction: directionRollback, Threshold: all.Threshold, Segment: g.Name,
			Stable: g.Stable.estimate(), Candidate: g.Candidate.estimate(),
		}
		s.LogE = j.harm(g.Harm.logE(burstOf(metricOf(j.p, all.metric))))
		s.weight = all.weight * segmentPart / float64(j.e.Segments.Most)
		s.Idle = j.tooFew(metricOf(j.p, all.metric), g.Candidate)
		ss = append(ss, s)
	}
	return ss
}

// segmentRanks are the comparisons of one quantile of the segments' times, beside that of
// all requests, whose bound they share.
func (j *judgement) segmentRanks(all standing, kind, quantile int, spec rankSpec) []standing {
	if j.e.Segments == nil {
		return nil
	}
	var ss []standing
	for _, g := range j.e.Segments.Each {
		l := g.Times[kind]
		if l == nil || l.Ranks[quantile].Candidate.N == 0 {
			continue
		}
		s := all
		s.Test = rankTest(all.metric, spec, l, &l.Ranks[quantile])
		s.Segment, s.Direction, s.Threshold, s.Idle = g.Name, all.Direction, all.Threshold, all.Idle
		s.LogE = j.harm(logMean(&l.Ranks[quantile].Harm))
		s.weight = all.weight * segmentPart / float64(j.e.Segments.Most)
		ss = append(ss, s)
	}
	return ss
}

// withoutSegments is what is left of a bound to all requests together.
func (j *judgement) withoutSegments() float64 {
	if j.e.Segments == nil {
		return 1
	}
	return 1 - segmentPart
}
