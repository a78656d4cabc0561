package analysis

// clientPart is the part of the bound of errors against stable that goes to the
// test of client errors. A version that answers nothing else is found within four
// or five blocks all the same, and the test of errors is hardly later for it.
const clientPart = 0.05

// clientErrors is the evidence that the candidate answers more requests than
// stable with a client error. Clients err alike on both arms, so a difference is
// the version's: a model that is not there (404), an input that it no longer
// takes (400). It only ever rolls back.
type clientErrors struct {
	Stable    rate `json:"stable"`
	Candidate rate `json:"candidate"`
	Odds      odds `json:"odds"`
}

func newClientErrors() *clientErrors {
	c := new(clientErrors)
	notBegun(c.Odds.Harm.Past[:])
	return c
}

// clone copies it. Evidence that was saved when there was no such test has none
// yet: it then begins without a start of its own, and waits for the next.
func (c *clientErrors) clone() *clientErrors {
	if c == nil {
		return newClientErrors()
	}
	o := *c
	return &o
}

func (c *clientErrors) add(g *oddsGrid, stable, candidate rate) {
	c.Stable, c.Candidate = c.Stable.plus(stable), c.Candidate.plus(candidate)
	c.Odds.add(g, stratum{
		stable:    sums{requests: stable.N, errors: stable.Bad},
		candidate: sums{requests: candidate.N, errors: candidate.Bad},
	})
}

// clients is the arm's share of client errors among all that was answered.
func (s sums) clients() rate { return rate{N: s.requests + s.clientErrors, Bad: s.clientErrors} }

// clientStandings is the test of client errors, where any was seen, beside that of
// errors against stable, whose bound it shares.
func (j *judgement) clientStandings(errors standing) []standing {
	c := j.e.Clients
	if c == nil || c.Stable.Bad+c.Candidate.Bad == 0 {
		return nil
	}
	m := metricOf(j.p, errors.metric)
	stable, candidate := c.Stable, c.Candidate
	if u := j.e.Units.known(); u != nil {
		stable, candidate = u.Arms[ofStable].Clients, u.Arms[ofCandidate].Clients
	}
	s := errors
	s.Test = Test{
		Metric: "client-errors", Method: errors.Method, Direction: directionRollback, Threshold: errors.Threshold,
		Stable: stable.estimate(), Candidate: candidate.estimate(), Ratio: c.Odds.estimate(j.logSafe),
		LogE: j.harm(c.Odds.Harm.logE(burstOf(m))), Idle: j.tooFew(m, candidate),
	}
	s.weight *= clientPart
	return []standing{s}
}
