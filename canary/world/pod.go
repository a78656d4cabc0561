package world

import (
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/sluice-dev/sluice/analysis"
)

// Version says how the pods of one version behave.
type Version struct {
	Pods    int
	Service Lognormal
	// Measured replaces Service where it is there.
	Measured *Measured

	// Servers per pod. 1 is a queue, first come first served; 0 is no queue at all.
	Servers int
	// Utilisation that a load of the pod's own tops it up to, whatever the split.
	// It needs Servers.
	Utilisation float64

	Errors float64 // share of requests that fail
	Bursts Bursts
	Faults []Fault
	FailIn time.Duration // how fast a failure fails; default 2ms
	// TimeOut is when a request that hangs ends; default 30s.
	TimeOut time.Duration
}

// Lognormal is a distribution of service times.
type Lognormal struct {
	Median time.Duration
	Sigma  float64
}

func (l Lognormal) mean() float64 {
	return l.Median.Seconds() * math.Exp(l.Sigma*l.Sigma/2)
}

func (l Lognormal) draw(r *rand.Rand) int64 {
	return int64(float64(l.Median) * math.Exp(l.Sigma*r.NormFloat64()))
}

func (v Version) draw(r *rand.Rand) int64 {
	if v.Measured != nil {
		return v.Measured.draw(r)
	}
	return v.Service.draw(r)
}

// MeanService is the mean service time, in seconds.
func (v Version) MeanService() float64 {
	if v.Measured != nil {
		return v.Measured.mean()
	}
	return v.Service.mean()
}

// Bursts are short spells of errors that hit single pods of either version.
type Bursts struct {
	PerHour float64 // and pod
	Length  time.Duration
	Errors  float64 // share of requests that fail meanwhile
}

// Fault is what breaks a version. It starts After the version's first request.
type Fault struct {
	After    time.Duration
	Errors   float64 // adds to the version's own
	Slowdown float64 // multiplies the service time; 0 leaves it
	Hangs    float64 // share of requests that are accepted and never answered; adds
}

// fleet is the pods of one version.
type fleet struct {
	version string
	spec    Version
	pods    []*pod
	rng     *rand.Rand
	first   int64 // when the first request came, live or mirrored; 0 before
}

type pod struct {
	name string
	rng  *rand.Rand
	free []int64 // when each server has done what it has

	backgroundRate float64 // per second
	backgroundNext int64

	burstFrom, burstTo int64
}

const never = math.MaxInt64

func newFleet(version string, spec Version, seed uint64, now int64) *fleet {
	orDefault(&spec.FailIn, 2*time.Millisecond)
	orDefault(&spec.TimeOut, 30*time.Second)
	part := uint64(1000)
	for _, c := range version {
		part = part*31 + uint64(c)
	}
	f := &fleet{version: version, spec: spec, rng: stream(seed, part)}
	for i := range spec.Pods {
		p := &pod{
			name:           version + "-" + strconv.Itoa(i) + ":8000",
			rng:            stream(seed, part+1+uint64(i)),
			free:           make([]int64, spec.Servers),
			backgroundNext: never,
			burstTo:        now,
		}
		p.nextBurst(spec.Bursts)
		f.pods = append(f.pods, p)
	}
	return f
}

// topUp sets the pods' own load so that with live requests per second they reach
// the version's utilisation. A pod's own load starts full a minute back, so that
// its queue is in its stride when a first request comes.
func (f *fleet) topUp(live float64) {
	if f.spec.Servers == 0 || f.spec.Utilisation == 0 {
		return
	}
	rate := f.spec.Utilisation*float64(f.spec.Servers)/f.spec.MeanService() - live
	for _, p := range f.pods {
		p.setBackground(max(rate, 0))
	}
}

func (p *pod) setBackground(rate float64) {
	switch {
	case rate == 0:
		p.backgroundNext = never
	case p.backgroundRate == 0:
		p.backgroundNext = 0 // the next request works out where it stands
	}
	p.backgroundRate = rate
}

// warmUp is how much of its own load a pod works off before the first request of
// a spell; queues forget faster at the utilisations that worlds are run at.
const warmUp = int64(20 * time.Second)

// catchUp works off the pod's own load that came before at.
func (p *pod) catchUp(at int64, v Version) {
	p.backgroundNext = max(p.backgroundNext, at-warmUp)
	for p.backgroundNext <= at {
		p.enqueue(p.backgroundNext, v.draw(p.rng))
		p.backgroundNext += int64(p.rng.ExpFloat64() / p.backgroundRate * float64(time.Second))
	}
}

// enqueue gives work to the server that is free first and returns when it ends.
func (p *pod) enqueue(at, work int64) int64 {
	first := 0
	for i, free := range p.free {
		if free < p.free[first] {
			first = i
		}
	}
	p.free[first] = max(p.free[first], at) + work
	return p.free[first]
}

func (p *pod) nextBurst(b Bursts) {
	if b.PerHour == 0 {
		p.burstFrom, p.burstTo = never, never
		return
	}
	p.burstFrom = p.burstTo + int64(p.rng.ExpFloat64()/b.PerHour*float64(time.Hour))
	p.burstTo = p.burstFrom + int64(b.Length)
}

// serve answers one request that comes at the given time.
func (f *fleet) serve(at int64) (name string, end int64, outcome analysis.Outcome) {
	if f.first == 0 {
		f.first = at
	}
	p := f.pods[f.rng.IntN(len(f.pods))]
	failing, slowdown := f.state(p, at)
	if hangs := f.hanging(at); hangs > 0 && p.rng.Float64() < hangs {
		return p.name, at + int64(f.spec.TimeOut), analysis.TimedOut
	}
	if p.rng.Float64() < failing {
		return p.name, at + int64(f.spec.FailIn), analysis.Failed
	}
	work := int64(float64(f.spec.draw(p.rng)) * slowdown)
	if len(p.free) == 0 {
		return p.name, at + work, analysis.Succeeded
	}
	p.catchUp(at, f.spec)
	return p.name, p.enqueue(at, work), analysis.Succeeded
}

// state is the share of requests that fail at a pod now, and how much slower it is.
func (f *fleet) state(p *pod, at int64) (failing, slowdown float64) {
	failing, slowdown = f.spec.Errors, 1
	for p.burstTo <= at {
		p.nextBurst(f.spec.Bursts)
	}
	if at >= p.burstFrom && at < p.burstTo {
		failing = max(failing, f.spec.Bursts.Errors)
	}
	for _, fault := range f.spec.Faults {
		if at-f.first < int64(fault.After) {
			continue
		}
		failing += fault.Errors
		if fault.Slowdown > 0 {
			slowdown *= fault.Slowdown
		}
	}
	return failing, slowdown
}

// hanging is the share of requests that are never answered now.
func (f *fleet) hanging(at int64) (share float64) {
	for _, fault := range f.spec.Faults {
		if at-f.first >= int64(fault.After) {
			share += fault.Hangs
		}
	}
	return share
}
