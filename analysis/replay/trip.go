package replay

import (
	"fmt"
	"strings"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

// trip is one that fired, and what came of it.
type trip struct {
	suspicion  analysis.Suspicion
	settlement analysis.Settlement
	ruling     analysis.Ruling
	outcome    tripOutcome
	ended      time.Time
}

// tripOutcome is what came of a trip.
type tripOutcome string

const (
	tripOpen      tripOutcome = "open"
	tripConfirmed tripOutcome = "confirmed"
	tripCleared   tripOutcome = "cleared"
	tripExpired   tripOutcome = "expired" // the policy's time was too short to settle it
	tripFinal     tripOutcome = "final"   // the policy's limit of trips is reached
)

// open is the trip that is being settled; nil where there is none.
func (p *player) open() *trip {
	if n := len(p.trips); n > 0 && p.trips[n-1].outcome == tripOpen {
		return &p.trips[n-1]
	}
	return nil
}

// settlementAdd lets a request of the candidate stand for the copy that would have
// been mirrored.
func (p *player) settlementAdd(r analysis.Request) {
	t := p.open()
	if t == nil {
		return
	}
	r.Shadow = r.Version == p.arms.Candidate
	t.settlement.Add(r)
}

// lookTrip asks the watch, or what settles what it found.
func (p *player) lookTrip(now time.Time) {
	if t := p.open(); t != nil {
		p.settle(t, now)
		return
	}
	suspicion, tripped := p.watch.Look(now)
	if !tripped {
		return
	}
	t := trip{suspicion: suspicion, outcome: tripOpen}
	t.settlement = analysis.NewSettlement(p.policy, p.arms, suspicion, len(p.trips)+1)
	p.trips = append(p.trips, t)
	if n := len(p.trips); n >= p.policy.Trip.Limit {
		p.closeTrip(now, tripFinal)
		why := analysis.Why{Metric: suspicion.Metric, LogE: suspicion.LogE, LogNeeded: suspicion.LogNeeded}
		p.blame(now, why, fmt.Sprintf("trip %d of at most %d: %s", n, p.policy.Trip.Limit, suspicion.Reason()))
	}
}

// settle asks whether the trip was right.
func (p *player) settle(t *trip, now time.Time) {
	t.ruling = t.settlement.Judge(p.policy, now)
	switch {
	case t.ruling.Outcome == analysis.RulingConfirmed:
		p.closeTrip(now, tripConfirmed)
		p.blame(now, t.why(), t.found())
	case t.ruling.Outcome == analysis.RulingCleared:
		p.closeTrip(now, tripCleared)
	case !now.Before(t.settlement.Until):
		p.closeTrip(now, tripExpired)
		if p.policy.Trip.OnTrip == config.FallbackRollback {
			p.blame(now, t.why(), "not settled in "+p.policy.Trip.Settle.String()+", and onTrip is Rollback: "+t.found())
		}
	}
}

// found is what settled the trip, or may yet. Nothing was mirrored here.
func (t *trip) found() string {
	return strings.ReplaceAll(t.ruling.Reason, "mirrored requests", "candidate requests after the trip")
}

// closeTrip ends the open trip. What was suspected is forgotten.
func (p *player) closeTrip(now time.Time, outcome tripOutcome) {
	t := p.open()
	t.outcome, t.ended = outcome, now
	p.watch = analysis.NewWatch(p.policy, p.arms).ByUnit()
	p.watch.Split(p.share.split(p.arms))
}

// why is what the ruling found, which need not be what was suspected.
func (t *trip) why() analysis.Why {
	return analysis.Why{Metric: t.ruling.Metric, LogE: t.ruling.LogE, LogNeeded: t.ruling.LogNeeded}
}

// blame takes the candidate for harmful: by what why says, as a trip finds it.
func (p *player) blame(now time.Time, why analysis.Why, reason string) {
	p.close(now)
	p.last = analysis.Judge(p.policy, p.evidence, now)
	p.decide(now, analysis.Harmful, reason)
	why.Kind, why.Method, why.LogE, why.LogNeeded = analysis.WhyHarm, "trip", rounded(why.LogE), rounded(why.LogNeeded)
	p.why = why
}
