package canary_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/config"
)

// updating says whether golden files are written (`make golden`).
func updating() bool { return os.Getenv("UPDATE_GOLDEN") != "" }

// TestGoldenStories runs the scenario files. Each is a list of commands, a line
// of dashes, and what the machine made of them.
func TestGoldenStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	for _, file := range files {
		if filepath.Base(file) == "table.txt" {
			continue
		}
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			got := newStory().tell(t, string(text))
			if updating() {
				require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
				return
			}
			require.Equal(t, string(text), got)
		})
	}
}

// story drives the machine as a controller does: it performs effects in order,
// and keeps a state only if it was saved or has shrunk something.
type story struct {
	route     config.RouteSpec
	policy    config.PolicySpec
	state     canary.State
	saved     canary.State
	journal   []canary.Decision
	broken    bool // the store does not save
	published config.Split
	out       strings.Builder
}

var dawn = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newStory() *story {
	key := config.Key{Namespace: "ml", Name: "filetype"}
	s := &story{state: canary.State{Route: key}, policy: testPolicy()}
	for _, name := range []string{"v1", "v2", "v3"} {
		s.route.Versions = append(s.route.Versions, config.Version{Name: name, Endpoints: []string{name + ":80"}})
	}
	s.route.InitialStable, s.route.Target = "v1", "v1"
	s.route.Strategy.Canary = &config.Canary{Steps: []config.Step{{Weight: percent(5)}, {Weight: percent(50)}}}
	return s
}

func percent(p int64) config.Percent { return config.Percent(p * config.PerMillion / 100) }

func testPolicy() config.PolicySpec {
	return config.PolicySpec{
		Limits: config.Limits{
			MinStep:            config.Duration(time.Minute),
			MinRequestsPerStep: 100,
			MaxDuration:        config.Duration(45 * time.Minute),
			OnInconclusive:     config.FallbackHold,
			ProgressDeadline:   config.Duration(10 * time.Minute),
			MaxBlind:           config.Duration(2 * time.Minute),
			AckTimeout:         config.Duration(10 * time.Second),
		},
		Trip: config.Trip{Settle: config.Duration(time.Minute), OnTrip: config.FallbackHold, Limit: 3},
	}
}

// tell runs all blocks of a file and writes it anew, with what happened.
func (s *story) tell(t *testing.T, text string) string {
	t.Helper()
	var told strings.Builder
	for block := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		var commands []string
		for line := range strings.SplitSeq(block, "\n") {
			if line == "----" {
				break
			}
			commands = append(commands, line)
		}
		s.out.Reset()
		acts := false
		for _, c := range commands {
			if strings.HasPrefix(c, "#") || c == "" {
				continue
			}
			acts = true
			s.run(t, c)
		}
		told.WriteString(strings.Join(commands, "\n") + "\n")
		if acts {
			told.WriteString("----\n" + s.out.String())
		}
		told.WriteString("\n")
	}
	return strings.TrimSuffix(told.String(), "\n")
}

// words splits a command into its verb, bare words and key=value pairs.
type words struct {
	t    *testing.T
	verb string
	bare []string
	pair map[string]string
}

func parse(t *testing.T, line string) words {
	t.Helper()
	w := words{t: t, pair: map[string]string{}}
	var fields []string
	quoted := false
	for _, f := range strings.FieldsFunc(line, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return r == ' ' && !quoted
	}) {
		fields = append(fields, strings.ReplaceAll(f, `"`, ""))
	}
	w.verb = fields[0]
	for _, f := range fields[1:] {
		if k, v, ok := strings.Cut(f, "="); ok {
			w.pair[k] = v
		} else {
			w.bare = append(w.bare, f)
		}
	}
	return w
}

func (w words) has(word string) bool { return slices.Contains(w.bare, word) }

func (w words) text(key, otherwise string) string {
	if v, ok := w.pair[key]; ok {
		return v
	}
	return otherwise
}

func (w words) number(key string, otherwise int64) int64 {
	v, ok := w.pair[key]
	if !ok {
		return otherwise
	}
	n, err := strconv.ParseInt(v, 10, 64)
	require.NoError(w.t, err)
	return n
}

func (w words) time(key string) time.Time {
	d, err := time.ParseDuration(w.text(key, "0s"))
	require.NoError(w.t, err, "%s %s", w.verb, key)
	return dawn.Add(d)
}

func (w words) by() canary.By {
	return canary.By{Actor: w.text("by", "alice"), Reason: w.text("why", "because")}
}

// run performs one command.
func (s *story) run(t *testing.T, line string) {
	t.Helper()
	w := parse(t, line)
	switch w.verb {
	case "route":
		s.setRoute(w)
	case "policy":
		s.setPolicy(w)
	case "store":
		s.broken = w.has("broken")
	case "crash":
		s.state = s.saved
		fmt.Fprintf(&s.out, "the saved state is of epoch %d\n", s.state.Published.Epoch)
	case "admit":
		if err := canary.Admit(s.state, s.route); err != nil {
			fmt.Fprintln(&s.out, err)
		} else {
			fmt.Fprintln(&s.out, "ok")
		}
	case "status":
		s.status(w)
	default:
		s.event(s.eventOf(w))
	}
}

func (s *story) setRoute(w words) {
	s.route.Target = w.text("target", s.route.Target)
	s.route.Attempt = w.number("attempt", s.route.Attempt)
	s.route.Mirroring = config.Mirroring(w.text("mirroring", string(s.route.Mirroring)))
	if v, ok := w.pair["split"]; ok {
		s.route.Strategy = config.Strategy{Split: &config.FixedSplit{Weights: weights(w.t, v)}}
	}
	if v, ok := w.pair["arms"]; ok {
		s.route.Strategy = config.Strategy{ABTest: &config.ABTest{Arms: weights(w.t, v), Reference: w.text("reference", "v1")}}
		if name, ok := w.pair["outcome"]; ok {
			s.route.Strategy.ABTest.Outcomes = []config.ABOutcome{{Name: name, Kind: config.ABRate, Better: config.ABHigher}}
			require.NoError(w.t, s.route.Strategy.ABTest.EndsBy.UnmarshalText([]byte(w.text("endsBy", ""))))
		}
	}
	if v, ok := w.pair["shadow"]; ok {
		for to, percent := range weights(w.t, v) {
			s.route.Strategy = config.Strategy{Shadow: &config.Shadow{Of: "v1", To: to, Percent: percent}}
		}
	}
	if v, ok := w.pair["steps"]; ok {
		s.route.Strategy = config.Strategy{Canary: &config.Canary{Steps: steps(w.t, v)}}
	}
	if c := s.route.Strategy.Canary; c != nil {
		copied := *c
		copied.Bake = scalar[config.Duration](w, "bake", c.Bake)
		copied.RollbackWindow.Versions = int(w.number("window", int64(c.RollbackWindow.Versions)))
		copied.RollbackWindow.Age = scalar[config.Duration](w, "age", c.RollbackWindow.Age)
		s.route.Strategy.Canary = &copied
	}
	if v, ok := w.pair["sticky"]; ok {
		s.route.Stickiness = &config.Stickiness{Header: v}
	}
	if v, ok := w.pair["versions"]; ok {
		s.route.Versions = nil
		for name := range strings.SplitSeq(v, ",") {
			s.route.Versions = append(s.route.Versions, config.Version{Name: name, Endpoints: []string{name + ":80"}})
		}
	}
}

func scalar[T ~int64](w words, key string, otherwise T) T {
	v, ok := w.pair[key]
	if !ok {
		return otherwise
	}
	d, err := time.ParseDuration(v)
	require.NoError(w.t, err)
	return T(d)
}

func weights(t *testing.T, text string) map[string]config.Percent {
	t.Helper()
	out := map[string]config.Percent{}
	for pair := range strings.SplitSeq(text, ",") {
		name, v, _ := strings.Cut(pair, ":")
		var p config.Percent
		require.NoError(t, p.UnmarshalText([]byte(v)))
		out[name] = p
	}
	return out
}

// steps reads shadow:10%,5%,25%/2m,approve/24h.
func steps(t *testing.T, text string) []config.Step {
	t.Helper()
	var out []config.Step
	for one := range strings.SplitSeq(text, ",") {
		what, lasting, _ := strings.Cut(one, "/")
		var d time.Duration
		if lasting != "" {
			var err error
			d, err = time.ParseDuration(lasting)
			require.NoError(t, err)
		}
		step := config.Step{For: config.Duration(d)}
		share, shadows := strings.CutPrefix(what, "shadow:")
		switch {
		case what == "approve":
			step = config.Step{Approve: &config.Approve{Timeout: config.Duration(d)}}
		case shadows:
			require.NoError(t, step.Shadow.UnmarshalText([]byte(share)))
		default:
			require.NoError(t, step.Weight.UnmarshalText([]byte(what)))
		}
		out = append(out, step)
	}
	return out
}

func (s *story) setPolicy(w words) {
	l, trip := &s.policy.Limits, &s.policy.Trip
	l.MinStep = scalar(w, "minStep", l.MinStep)
	l.MaxDuration = scalar(w, "maxDuration", l.MaxDuration)
	l.MinRequestsPerStep = w.number("minRequests", l.MinRequestsPerStep)
	l.OnInconclusive = config.Fallback(w.text("onInconclusive", string(l.OnInconclusive)))
	trip.OnTrip = config.Fallback(w.text("onTrip", string(trip.OnTrip)))
	trip.Limit = int(w.number("limit", int64(trip.Limit)))
	if w.has("answers") {
		s.policy.Metrics = append(s.policy.Metrics, config.Metric{
			Name: config.MetricAnswers, Compare: &config.Compare{By: config.CompareDigest},
			VersusStable: &config.VersusStable{RollbackIf: 1, PromoteIf: config.Below{Ratio: 2}},
		})
	}
}

func (s *story) eventOf(w words) canary.Event {
	at := w.time("at")
	switch w.verb {
	case "configured":
		return canary.Configured{At: at, Route: s.route, Policy: s.policy, Loaded: w.has("loaded")}
	case "judged":
		return canary.Judged{At: at, Assessment: s.assessment(w, at)}
	case "concluded":
		return canary.Concluded{At: at, Test: w.text("test", "abtest-1"), Winner: w.text("winner", ""), Reason: "0.3 of 900, 0.4 of 900"}
	case "suspected":
		return canary.Suspected{At: at, Reason: w.text("reason", "3 of 3 requests failed"), LogE: 7.2, Needed: 6.9, N: 3}
	case "settled":
		return canary.Settled{At: at, Confirmed: w.has("confirmed"), Reason: w.text("reason", "40 mirrored requests say so")}
	case "acked":
		return canary.Acked{
			At: at, Epoch: uint64(w.number("epoch", int64(s.state.Published.Epoch))), Proxies: int(w.number("proxies", 1)),
			Stuck: strings.Fields(w.text("stuck", "")), Refused: w.has("refused"),
		}
	case "nacked":
		return canary.Nacked{At: at, Proxy: "envoy-1", Epoch: s.state.Published.Epoch, Text: w.text("text", "unknown cluster")}
	case "observed":
		return canary.Observed{At: at, Proxy: "envoy-1", Epoch: uint64(w.number("epoch", int64(s.state.Published.Epoch)))}
	case "disconnected":
		return canary.Disconnected{At: at, Proxy: "envoy-1", Remaining: int(w.number("remaining", 0))}
	case "blinded":
		return canary.Blinded{At: at, Reason: w.text("reason", "30 requests issued, 0 logged")}
	case "resized":
		return canary.Resized{At: at, Version: w.bare[0], Ready: int(w.number("ready", 1)), Total: 1, Fact: w.text("fact", "")}
	case "savefailed":
		return canary.SaveFailed{At: at, Text: "disk is full"}
	case "tick":
		return canary.Tick{At: at}
	}
	return s.verbOf(w, at)
}

func (s *story) verbOf(w words, at time.Time) canary.Event {
	switch w.verb {
	case "approved":
		hash := w.text("hash", "")
		if hash == "" && s.state.Rollout != nil && s.state.Rollout.Gate != nil {
			hash = s.state.Rollout.Gate.Hash
		}
		return canary.Approved{At: at, By: w.by(), Hash: hash}
	case "rejected":
		return canary.Rejected{At: at, By: w.by()}
	case "promoted":
		return canary.Promoted{At: at, By: w.by(), Full: w.has("full"), OverrideEvidence: w.has("override"), Force: w.has("force"), Evidence: w.text("evidence", "")}
	case "held":
		return canary.Held{At: at, By: w.by()}
	case "resumed":
		return canary.Resumed{At: at, By: w.by()}
	case "withdrawn":
		return canary.Withdrawn{At: at}
	case "aborted":
		return canary.Aborted{At: at, By: w.by()}
	case "reverted":
		return canary.Reverted{At: at, By: w.by(), Force: w.has("force")}
	case "retried":
		return canary.Retried{At: at, By: w.by()}
	}
	require.Fail(w.t, "a story says what nobody knows", w.verb)
	return nil
}

func (s *story) assessment(w words, at time.Time) analysis.Assessment {
	a := analysis.Assessment{At: at, Verdict: analysis.Undecided, LogE: 1, LogNeeded: 5.3, Hold: w.text("hold", "")}
	for _, v := range []analysis.Verdict{analysis.Healthy, analysis.Harmful, analysis.Blind} {
		if w.has(string(v)) {
			a.Verdict = v
		}
	}
	a.Reason = w.text("reason", "the numbers say "+string(a.Verdict))
	if pairs := w.number("pairs", 0); pairs > 0 {
		a.Answers = &analysis.Answers{Pairs: pairs, Proven: w.has("proven"), Reason: fmt.Sprintf("0 of %d answers differ", pairs)}
	}
	if s.state.Rollout != nil {
		a.Requests = map[string]int64{s.state.Rollout.Candidate: w.number("n", 0)}
	}
	return a
}

// event steps and performs the effects, as the controller does.
func (s *story) event(ev canary.Event) {
	next, effects := canary.Step(s.route, s.state, ev)
	if len(effects) == 0 {
		fmt.Fprintf(&s.out, "%s: nothing\n", place(next))
		return
	}
	fmt.Fprintf(&s.out, "%s -> %s: %s\n", place(s.state), place(next), summary(effects))
	done, failed := s.perform(effects)
	fmt.Fprintf(&s.out, "  %s\n", strings.Join(done, "; "))
	if !failed || len(done) > 1 {
		s.state = next
	}
	if failed {
		s.event(canary.SaveFailed{At: ev.When(), Text: "disk is full"})
	}
}

func summary(effects []canary.Effect) string {
	for _, e := range effects {
		if r, ok := e.(canary.Record); ok {
			if r.Decision.Refused {
				return "refused: " + r.Decision.Text
			}
			return r.Decision.Text
		}
	}
	return ""
}

func (s *story) perform(effects []canary.Effect) (done []string, failed bool) {
	for _, e := range effects {
		switch e := e.(type) {
		case canary.Save:
			if s.broken && len(done) == 0 {
				return []string{"save fails"}, true
			}
			if s.broken {
				done, failed = append(done, "save fails"), true
				continue
			}
			s.saved = e.State
			done = append(done, "save")
		case canary.Publish:
			s.published = e.Split
			done = append(done, "publish "+shares(e.Split))
		case canary.Record:
			s.journal = append(s.journal, e.Decision)
			done = append(done, fmt.Sprintf("record %d", e.Decision.Seq))
		case canary.Notify:
			done = append(done, "notify "+string(e.Notice.Kind))
		case canary.Refuse:
			done = append(done, "refuse")
		}
	}
	return done, failed
}

// place is phase and step with the flags that are no phase.
func place(s canary.State) string {
	p := string(s.Phase())
	r := s.Rollout
	if r == nil {
		return p + " " + s.Stable
	}
	p += " " + r.Candidate
	if r.Phase == canary.Stepping || r.Phase == canary.Approving {
		p += fmt.Sprintf(" %d/%d", r.Step+1, len(r.Steps))
	}
	if r.Hold != nil {
		p += " held"
	}
	if r.Blind != nil {
		p += " blind"
	}
	if r.Unready != nil {
		p += " unready"
	}
	return p
}

// shares is a split, by version.
func shares(split config.Split) string {
	sum := map[string]uint32{}
	for _, share := range split.Shares {
		sum[share.Version] += share.Weight
	}
	var parts []string
	for v, w := range sum {
		parts = append(parts, fmt.Sprintf("%s=%d", v, w))
	}
	slices.Sort(parts)
	text := fmt.Sprintf("#%d %s", split.Epoch, strings.Join(parts, " "))
	if split.Mirror.Weight > 0 {
		text += fmt.Sprintf(" mirror %s=%d", split.Mirror.Version, split.Mirror.Weight)
	}
	if split.Repeat.Weight > 0 {
		text += fmt.Sprintf(" repeat %s=%d", split.Repeat.Version, split.Repeat.Weight)
	}
	return text
}

// status says what the rollout waits for and which conditions hold.
func (s *story) status(w words) {
	at := w.time("at")
	for _, wait := range s.state.Waits(s.assessment(w, at), at) {
		fmt.Fprintf(&s.out, "waits: %s: %s\n", wait.Reason, wait.Text)
	}
	for _, c := range canary.Conditions(s.state, s.assessment(w, at), at) {
		fmt.Fprintf(&s.out, "%s=%s %s: %s\n", c.Type, c.Status, c.Reason, c.Message)
	}
}
