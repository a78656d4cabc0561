package live

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
)

// Line writes where an inference route stands in one line of key=value pairs. It
// has no time of its own and no newline.
func Line(s controller.Snapshot, look Look) string {
	w := words{look: look}
	w.add("phase", string(s.State.Phase()))
	r := s.State.Rollout
	if r == nil {
		w.add("stable", s.State.Stable)
		w.add("outcome", verdictOf(s))
		w.troubles(s)
		return w.say(s.Standing())
	}
	trace, _ := s.Trace(r.ID)
	reach, _ := s.State.Reach(trace)
	w.add("rollout", r.ID)
	w.add("step", fmt.Sprintf("%d/%d", min(r.Step+1, len(r.Steps)), len(r.Steps)))
	w.add("wanted", percent(reach.Wanted))
	w.add("acked", reached(reach.Acked))
	w.add("observed", reached(reach.Observed))
	w.add("verdict", verdictOf(s))
	if a := s.Assessment; a != nil {
		w.add("harm", nats(a.LogE)+"/"+nats(a.LogNeeded))
	}
	w.add("requests", strconv.FormatInt(trace.Candidate.Requests, 10))
	w.add("errors", strconv.FormatInt(trace.Candidate.Errors, 10))
	if n := len(r.Trips); n > 0 {
		w.add("trips", fmt.Sprintf("%d/%d", n, r.Policy.Trip.Limit))
	}
	if r.Phase == canary.Approving && r.Gate != nil {
		w.add("hash", r.Gate.Hash)
	}
	if r.Hold != nil {
		w.add("held", r.Hold.Actor)
	}
	w.troubles(s)
	w.add("waits", waitReasons(s.Waits))
	if len(s.Waits) > 0 {
		return w.say(s.Waits[0].Text)
	}
	return w.say(s.Standing())
}

// troubles are what somebody has to mend.
func (w *words) troubles(s controller.Snapshot) {
	w.add("proxies", strconv.Itoa(len(s.Proxies)))
	w.add("refused", s.Refusal)
	if n := s.State.Nack; n != nil {
		w.add("nack", n.Proxy+": "+n.Text)
	}
	if f := s.State.Fault; f != nil {
		w.add("notsaved", f.Text)
	}
	w.add("gap", s.Gap)
}

func waitReasons(waits []canary.Wait) string {
	var reasons []string
	for _, w := range waits {
		reasons = append(reasons, string(w.Reason))
	}
	return strings.Join(reasons, ",")
}

// words gathers key=value pairs.
type words struct {
	look  Look
	pairs []string
}

// add leaves out what is empty and quotes what has spaces.
func (w *words) add(key, value string) {
	if value == "" {
		return
	}
	value = wash(value, w.look)
	if strings.ContainsAny(value, " \"=") {
		value = strconv.Quote(value)
	}
	w.pairs = append(w.pairs, key+"="+value)
}

// say ends the line with its message.
func (w *words) say(message string) string {
	return strings.Join(append(w.pairs, "msg="+strconv.Quote(wash(message, w.look))), " ")
}

// stamped puts a time and a name before a line.
func stamped(at time.Time, name, line string) string {
	return at.UTC().Format("2006-01-02T15:04:05.000Z") + " " + name + " " + line
}

// gist is what of a snapshot is news when it changes. Numbers that run are not.
type gist struct {
	rollout, phase, verdict, waits, hash, refusal, nack, ended string
	step, trips, proxies                                       int
	wanted                                                     uint32
	acked, observed, held, faulty, gap                         bool
}

func gistOf(s controller.Snapshot) gist {
	g := gist{
		phase: string(s.State.Phase()), verdict: verdictOf(s), waits: waitReasons(s.Waits), refusal: s.Refusal,
		proxies: len(s.Proxies), faulty: s.State.Fault != nil, gap: s.Gap != "",
	}
	if n := s.State.Nack; n != nil {
		g.nack = n.Proxy + n.Text
	}
	if len(s.State.History) > 0 {
		g.ended = s.State.History[0].ID
	}
	r := s.State.Rollout
	if r == nil {
		return g
	}
	trace, _ := s.Trace(r.ID)
	reach, _ := s.State.Reach(trace)
	g.rollout, g.step, g.trips, g.held = r.ID, r.Step, len(r.Trips), r.Hold != nil
	g.wanted, g.acked, g.observed = reach.Wanted, reach.Acked != nil && *reach.Acked == reach.Wanted, reach.Observed != nil
	if r.Gate != nil {
		g.hash = r.Gate.Hash
	}
	return g
}

// counts of requests, whose change alone is news now and then.
func counts(s controller.Snapshot) (n int64) {
	for _, t := range s.Traces {
		n += t.Stable.Requests + t.Candidate.Requests
	}
	return n
}
