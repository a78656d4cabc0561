package replay

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
)

// CheckConfig of a Check.
type CheckConfig struct {
	Name    string            // of the recording, in messages. Default "recording"
	Policy  config.PolicySpec // parsed, with its defaults
	Version string            // whose pods are compared with one another. Required
	// Bad and Progress as in Config.
	Bad      func(error)
	Progress func(bytes int64)
}

// podsChecked bounds how many pods take the candidate's part at a time.
const podsChecked = 20

// Check tells how often a policy rolls back what is surely as good as stable: each
// pod of a version takes the candidate's part against the others, anew for every
// maxDuration of the recording. It also says how long a block must be for pods'
// latencies to be independent from one to the next.
// errors: as Run's.
func Check(in io.Reader, c CheckConfig) (Checked, error) {
	if c.Version == "" {
		return Checked{}, errors.New("version: is missing")
	}
	if c.Name == "" {
		c.Name = "recording"
	}
	k := &check{
		run: run{
			Config: Config{Name: c.Name, Policy: c.Policy, Bad: c.Bad, Progress: c.Progress},
			lines:  newLines(in), reader: newReader(c.Version, ""),
		},
		players: map[string]*player{}, pods: map[string]bool{}, judged: map[string]bool{},
	}
	for _, d := range blocksTried() {
		k.blocks = append(k.blocks, &blockSeries{length: d, pods: map[string]*podSeries{}})
	}
	k.player = k
	if err := k.all(); err != nil {
		return Checked{}, err
	}
	return k.checked(), nil
}

// blocksTried are the lengths of blocks that are tried, the shortest first.
func blocksTried() []time.Duration {
	return []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 30 * time.Second, time.Minute}
}

// check is a Check under way.
type check struct {
	run

	players  map[string]*player // by the pod that takes the candidate's part
	pods     map[string]bool    // of the whole recording, up to remembered
	judged   map[string]bool    // of pods, those that took the candidate's part
	lasted   time.Duration      // of all pretended rollouts together
	begun    time.Time          // of this round
	first    time.Time          // request's start
	last     time.Time          // request's end
	stable   analysis.Buckets   // of the last minute or two: its median is what counts as slow
	edge     uint16
	turned   time.Time
	previous analysis.Buckets
	blocks   []*blockSeries
	out      Checked
}

// play implements taker.
func (k *check) play(r analysis.Request) {
	if r.Shadow || r.Pod == "" {
		return
	}
	if k.first.IsZero() {
		k.first = r.Start
	}
	k.last = r.End()
	if k.begun.IsZero() || r.Start.Sub(k.begun) >= k.Policy.Limits.MaxDuration.D() {
		k.endRound()
		k.begun = r.Start
	}
	k.slow(r)
	if len(k.pods) < remembered {
		k.pods[r.Pod] = true
	}
	if k.players[r.Pod] == nil && len(k.players) < podsChecked {
		k.players[r.Pod] = newPlayer(k.Policy, analysis.Arms{Stable: "others", Candidate: "pod"})
	}
	for pod, p := range k.players {
		q := r
		q.Unit = "" // it was drawn for the version, not for the pod
		if q.Version = "others"; pod == r.Pod {
			q.Version = "pod"
		}
		p.play(q)
	}
}

// endRound counts what became of each pod.
func (k *check) endRound() {
	names := make([]string, 0, len(k.players))
	for pod := range k.players {
		names = append(names, pod)
	}
	slices.Sort(names)
	for _, pod := range names {
		p := k.players[pod]
		p.finish()
		if p.last.Requests["pod"] == 0 || p.last.Requests["others"] == 0 {
			continue // a pod without others, or that has hardly come, says nothing
		}
		k.out.Rollouts++
		k.judged[pod] = true
		k.lasted += p.now.Sub(k.begun)
		if len(p.trips) > 0 {
			k.out.Tripped++
		}
		if p.verdict != analysis.Harmful {
			continue
		}
		k.out.RolledBack++
		if p.why.Method == "trip" {
			k.out.ByTrip++
		}
		if len(k.out.Examples) < 5 {
			k.out.Examples = append(k.out.Examples, Blamed{
				Pod: pod, At: secondsOf(p.decided), Metric: p.why.Metric, Reason: p.reason,
			})
		}
	}
	clear(k.players)
}

// slow follows which requests are slower than the median of the last minutes.
func (k *check) slow(r analysis.Request) {
	if r.Outcome != analysis.Succeeded {
		return
	}
	if end := r.End(); end.Sub(k.turned) >= 10*time.Second {
		k.turned = end
		var all analysis.Buckets
		all.Merge(k.previous)
		all.Merge(k.stable)
		k.edge = 0
		if all.Count() >= 60 {
			k.edge = max(1, all.QuantileIndex(0.5))
		}
		k.previous, k.stable = k.stable, nil
	}
	k.stable.Add(r.Duration)
	if k.edge == 0 {
		return
	}
	slow := int64(0)
	if r.Duration > analysis.Edge(k.edge) {
		slow = 1
	}
	for _, b := range k.blocks {
		b.add(r, slow)
	}
}

// Checked is what a Check came to.
type Checked struct {
	Pods       int `json:"pods"`
	Rollouts   int `json:"rollouts"` // that were pretended: pods × rounds
	RolledBack int `json:"rolledBack"`
	// ByTrip of those a trip ended. In a recording the pod's load goes on after a trip,
	// and so does its queue; in earnest it would not.
	ByTrip  int `json:"byTrip"`
	Tripped int `json:"tripped"`
	// Judged of the pods took the candidate's part: at most 20 in a round, the first seen.
	Judged int `json:"judged"`
	// Lasted is how long a pretended rollout lasted, on average. MaxDuration is how long one
	// in earnest may, and a shorter one is rolled back less often.
	Lasted      config.Duration `json:"lasted"`
	MaxDuration config.Duration `json:"maxDuration"`
	// FalseRollback is the share rolled back, with 95% bounds as if the rollouts were
	// independent, beside what the policy promises.
	FalseRollback Bounds         `json:"falseRollback"`
	Promised      config.Percent `json:"promised"`
	// Block is the shortest block whose pods' latencies hardly depend on the block
	// before, beside the policy's. Zero: none that was tried, or too few blocks.
	Block       config.Duration    `json:"block"`
	PolicyBlock config.Duration    `json:"policyBlock"`
	Blocks      []BlockCorrelation `json:"blocks"`
	Examples    []Blamed           `json:"examples"` // the first few that were rolled back

	Lines   int64    `json:"lines"`
	Skipped int64    `json:"skipped"`
	Others  int64    `json:"others"`
	From    float64  `json:"from_s"` //nolint:tagliatelle // as recordings are written
	To      float64  `json:"to_s"`   //nolint:tagliatelle // as above
	Notes   []string `json:"notes"`
}

// Bounds are a share with its 95% interval.
type Bounds struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Blamed is a pod that was taken for harmful.
type Blamed struct {
	Pod    string  `json:"pod"`
	At     float64 `json:"at_s"` //nolint:tagliatelle // as recordings are written
	Metric string  `json:"metric"`
	Reason string  `json:"reason"`
}

func (k *check) checked() Checked {
	k.endRound()
	c := k.out
	c.Pods, c.Promised, c.PolicyBlock = len(k.pods), k.Policy.Confidence.FalseRollback, k.Policy.Unit.Block
	c.FalseRollback = boundsOf(c.RolledBack, c.Rollouts)
	c.Judged, c.MaxDuration = len(k.judged), k.Policy.Limits.MaxDuration
	if c.Rollouts > 0 {
		c.Lasted = config.Duration((k.lasted / time.Duration(c.Rollouts)).Round(time.Second))
	}
	if !k.first.IsZero() {
		c.From, c.To = secondsOf(k.first), secondsOf(k.last)
	}
	c.Lines, c.Skipped, c.Others = k.lines.number, k.skipped, k.others
	c.Notes = append([]string{}, k.passedOver()...)
	if c.Examples == nil {
		c.Examples = []Blamed{}
	}
	for _, b := range k.blocks {
		found := b.correlation()
		c.Blocks = append(c.Blocks, found)
		if c.Block == 0 && found.Independent {
			c.Block = found.Length
		}
	}
	k.note(&c)
	return c
}

func (k *check) note(c *Checked) {
	say := func(format string, args ...any) { c.Notes = append(c.Notes, fmt.Sprintf(format, args...)) }
	if c.Judged < c.Pods && c.Rollouts > 0 {
		say("%d of %d pods took the candidate's part, at most %d in a round: of the others nothing is known", c.Judged, c.Pods, podsChecked)
	}
	if c.Rollouts > 0 && c.Lasted.D() < c.MaxDuration.D()*9/10 {
		say("a pretended rollout lasted %s, and one in earnest may last %s: where what rolls back comes at any time, up to %.2g times as many would be",
			c.Lasted, c.MaxDuration, c.MaxDuration.D().Seconds()/max(1, c.Lasted.D().Seconds()))
	}
	switch {
	case k.lacks.lines == 0 && k.others > 0:
		say("no line is of version %s; there are lines of %s", k.reader.stable, k.names)
	case k.lacks.lines == 0:
		say("the recording has no request")
	case c.Rollouts == 0:
		say("no pod could be compared with others: lines of %s need the pod, and two or more of them", k.reader.stable)
	case c.FalseRollback.Low > c.Promised.Fraction():
		say("pods of one version are rolled back more often than promised: nodes that differ need a higher tolerance, queues a longer block")
	case c.FalseRollback.High > 10*c.Promised.Fraction():
		say("a longer recording would tell more: %d rollouts bound the share only to %.2g%%", c.Rollouts, 100*c.FalseRollback.High)
	}
	switch {
	case c.Block > c.PolicyBlock:
		say("blocks of %s depend on one another less than the policy's of %s", c.Block, c.PolicyBlock)
	case c.Block == 0 && c.Rollouts > 0:
		say("no block that was tried is known to be independent of the one before")
	}
}

func boundsOf(k, n int) Bounds {
	low, high := analysis.Wilson(k, n)
	return Bounds{Value: float64(k) / float64(max(1, n)), Low: low, High: high}
}
