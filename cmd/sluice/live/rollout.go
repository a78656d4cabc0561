package live

import (
	"fmt"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
)

func (t *sheet) head(s controller.Snapshot) {
	title := []span{put(strong, "%s", s.State.Route), put(plain, "  %s", s.State.Phase())}
	if v := verdictOf(s); v != "" {
		if s.State.Rollout == nil {
			title = append(title, put(faint, "  last: %s", s.State.History[0].Candidate))
		}
		title = append(title, put(inkOf(v), "  %s", spoken(v)))
	}
	if r := s.State.Rollout; r != nil {
		if r.Hold != nil {
			title = append(title, put(wait, "  held"))
		}
		title = append(title, put(faint, "  rollout %s, %s old", r.ID, lasting(max(0, s.At.Sub(r.Began)))))
	}
	t.line(0, title...)
	t.line(0, put(plain, "%s", s.Standing()))
}

// alarms are what somebody has to mend.
func (t *sheet) alarms(s controller.Snapshot) {
	say := func(format string, args ...any) {
		t.under(2, []span{t.mark(bad), put(plain, " ")}, put(bad, format, args...))
	}
	if s.Refusal != "" {
		say("the newest configuration is not in force: %s", s.Refusal)
	}
	if n := s.State.Nack; n != nil {
		say("%s refused epoch %d and keeps what it had: %s", n.Proxy, n.Epoch, n.Text)
	}
	if f := s.State.Fault; f != nil {
		say("the state is not saved since %s: %s", clock(f.Since), f.Text)
	}
	if gap := lost(s); gap != "" {
		say("log entries are missing: %s", gap)
	}
	for _, name := range s.Stuck {
		say("%s is connected, but no longer waited for", name)
	}
}

func (t *sheet) waits(s controller.Snapshot) {
	r := s.State.Rollout
	if r == nil {
		return
	}
	if len(s.Waits) > 0 {
		t.heading(put(strong, "WAITS FOR"))
	}
	for _, w := range s.Waits {
		t.under(2, []span{t.mark(wait), put(wait, " %-15s ", w.Reason)}, put(plain, "%s", w.Text))
	}
	if s.Remedy != "" {
		t.line(4, put(faint, "%s", s.Remedy))
	}
	if r.Phase == canary.Approving && r.Gate != nil {
		t.line(4, put(strong, "sluice approve %s --hash %s --reason '...'", s.State.Route, r.Gate.Hash))
	}
}

func (t *sheet) share(s controller.Snapshot) {
	if s.State.Rollout == nil {
		t.split(s)
		return
	}
	trace, _ := s.Trace(s.State.Rollout.ID)
	reach, _ := s.State.Reach(trace)
	t.heading(put(strong, "SHARE"), put(plain, " of %s", s.State.Rollout.Candidate))
	for _, l := range []struct {
		name  string
		share *uint32
		aged  string
	}{{"wanted", &reach.Wanted, ""}, {"acked", reach.Acked, ""}, {"observed", reach.Observed, Aged(reach.ObservedAt, s.At)}} {
		have := 0.0
		if l.share != nil {
			have = float64(*l.share)
		}
		t.line(2, put(plain, "%-9s %7s  %s%s", l.name, reached(l.share), t.bar(t.barWidth(24), have, config.WholeSplit), l.aged))
	}
	t.mirrored(s.State.Published)
}

// mirrored is what is copied, with answers that nobody waits for.
func (t *sheet) mirrored(split config.Split) {
	m := split.Mirror
	if m.Weight == 0 {
		return
	}
	twice := ""
	if split.Repeat.Weight > 0 {
		twice = fmt.Sprintf(", and to %s again", split.Repeat.Version)
	}
	t.line(2, put(wait, "%-9s %7s  copied to %s%s, with answers that nobody waits for", "mirrored", percent(m.Weight), m.Version, twice))
}

// split is what is in force between rollouts.
func (t *sheet) split(s controller.Snapshot) {
	if len(s.State.Published.Shares) == 0 {
		return
	}
	t.heading(put(strong, "SPLIT"), put(plain, " of epoch %d", s.State.Published.Epoch))
	for _, share := range s.State.Published.Shares {
		t.line(2, put(plain, "%7s  %s  %s", percent(share.Weight), t.bar(t.barWidth(40), float64(share.Weight), config.WholeSplit), share.Version))
	}
	t.mirrored(s.State.Published)
}

func (t *sheet) steps(s controller.Snapshot) {
	r := s.State.Rollout
	if r == nil || len(r.Steps) == 0 {
		return
	}
	baking := r.Phase == canary.Baking
	t.heading(put(strong, "STEPS"))
	for i, step := range r.Steps {
		switch {
		case baking || i < r.Step:
			t.line(2, t.mark(good), put(good, " %d  %s", i+1, stepText(step)))
		case i == r.Step:
			t.line(2, t.mark(strong), put(strong, " %d  %s", i+1, stepText(step)), put(plain, "  %s for %s", r.Phase, lasting(max(0, s.At.Sub(r.Since)))))
			t.progress(s)
		default:
			t.line(2, t.mark(faint), put(faint, " %d  %s", i+1, stepText(step)))
		}
	}
	switch {
	case r.Bake == 0:
	case baking:
		t.line(2, t.mark(strong), put(strong, "    bake for %s", r.Bake))
		t.progress(s)
	default:
		t.line(2, t.mark(faint), put(faint, "    bake for %s", r.Bake))
	}
}

func stepText(s config.Step) string {
	switch {
	case s.Approve != nil && s.Approve.Timeout > 0:
		return fmt.Sprintf("approval within %s", s.Approve.Timeout)
	case s.Approve != nil:
		return "approval"
	}
	what := s.Weight.String()
	if s.Shadow > 0 {
		what = s.Shadow.String() + " copied"
	}
	if s.For > 0 {
		return fmt.Sprintf("%s for %s", what, s.For)
	}
	return what
}

// progress of the present step towards what it needs at least.
func (t *sheet) progress(s controller.Snapshot) {
	var a analysis.Assessment
	if s.Assessment != nil {
		a = *s.Assessment
	}
	p, ok := s.State.Progress(a, s.At)
	if !ok {
		return
	}
	width := t.barWidth(42)
	if p.LeastTime > 0 {
		t.line(7, put(plain, "%-9s %s  %s of %s", "time", t.bar(width, float64(p.Lasted), float64(p.LeastTime)), lasting(p.Lasted), p.LeastTime))
	}
	if p.LeastRequests > 0 {
		t.line(7, put(plain, "%-9s %s  %d of %d", "requests", t.bar(width, float64(p.Requests), float64(p.LeastRequests)), p.Requests, p.LeastRequests))
	}
}

// requests of both arms, of the rollout that runs or ended last.
func (t *sheet) requests(s controller.Snapshot) {
	if len(s.Traces) == 0 {
		return
	}
	trace := s.Traces[0]
	roles := [2]string{"stable", "candidate"}
	title := []span{put(strong, "REQUESTS SEEN")}
	switch r := s.State.Rollout; {
	case r == nil:
		roles = [2]string{"was stable", "was candidate"}
		title = append(title, put(plain, " while rollout %s ran", trace.Rollout))
	case r.Phase == canary.Baking:
		roles = [2]string{"old stable", "promoted"}
	}
	t.heading(title...)
	for _, l := range []struct {
		role, version string
		seen          canary.Exposure
	}{{roles[0], trace.Arms.Stable, trace.Stable}, {roles[1], trace.Arms.Candidate, trace.Candidate}} {
		ready := "? ready"
		if n, ok := s.State.Ready[l.version]; ok {
			ready = fmt.Sprintf("%d ready", n)
		}
		errors := span{faint, "no error"}
		if l.seen.Errors > 0 {
			errors = span{bad, count(l.seen.Errors, "error", "errors")}
		}
		role := fmt.Sprintf("%-*s", max(len(roles[0]), len(roles[1])), l.role)
		line := []span{put(plain, "%s  %s  %s  %s  ", role, l.version, ready, count(l.seen.Requests, "request", "requests")), errors}
		if l.seen.Abandoned > 0 {
			line = append(line, put(wait, "  %d abandoned by their clients", l.seen.Abandoned))
		}
		if l.seen.Mirrored > 0 {
			line = append(line, put(faint, "  %d mirrored", l.seen.Mirrored))
		}
		t.line(2, line...)
	}
}
