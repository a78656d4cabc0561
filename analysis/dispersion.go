package analysis

import "math"

// dispersion is how much more stable's slow requests come together than chance has
// it. Requests that wait in one queue are late together, and at high utilisation a
// queue lasts for seconds: then so many of them are worth one.
//
// It watches a few of stable's pods, each with a queue of its own, for as long as
// the rollout lasts: long queues are rare.
type dispersion struct {
	pods []dispersedPod
	sums [2][dispersedLengths]blockSums // by edge, in the order of edgeSuspects
}

const (
	dispersedPods    = 8 // few say how queues behave
	dispersedLengths = 5 // blocks of 1, 2, 4, 8 and 16 s
	// dispersedMost is how many requests a second of a pod counts as at most.
	dispersedMost = 4
	// surprise is by how many standard errors stable must be dispersed to count as it.
	surprise = 4
)

// dispersedPod is a pod's blocks under way.
type dispersedPod struct {
	pod    string
	second int64   // of its latest request
	slow   [2]rate // in that second
	blocks [2][dispersedLengths]block
}

// block is the seconds that share a number at a length.
type block struct {
	number int64
	bad, n float64
	square float64 // of what each request counts as
}

// blockSums are over past blocks of all pods.
type blockSums struct {
	blocks                          float64
	bad, n, square                  float64
	badTimesBad, badTimesN, nTimesN float64
}

// add counts a request of stable's that started in a second. One that is late by
// more than that second counts in it all the same.
func (d *dispersion) add(second int64, pod string, slow [2]rate) {
	p := d.find(second, pod)
	if p == nil {
		return
	}
	if second > p.second {
		d.turn(p)
		p.second, p.slow = second, [2]rate{}
	}
	for i := range slow {
		p.slow[i] = p.slow[i].plus(slow[i])
	}
}

// find gives a pod that is watched. A new one takes a free place, or that of one
// that has served nothing for a minute.
func (d *dispersion) find(second int64, pod string) *dispersedPod {
	for i := range d.pods {
		if d.pods[i].pod == pod {
			return &d.pods[i]
		}
	}
	if len(d.pods) < dispersedPods {
		d.pods = append(d.pods, dispersedPod{pod: pod, second: second})
		return &d.pods[len(d.pods)-1]
	}
	for i := range d.pods {
		if second-d.pods[i].second > trailLength {
			d.pods[i] = dispersedPod{pod: pod, second: second}
			return &d.pods[i]
		}
	}
	return nil
}

// turn adds a pod's second to its blocks; those that are over count.
func (d *dispersion) turn(p *dispersedPod) {
	for edge, r := range p.slow {
		if r.N == 0 {
			continue
		}
		worth := min(1, dispersedMost/float64(r.N))
		for k := range dispersedLengths {
			b := &p.blocks[edge][k]
			if number := p.second >> k; number != b.number {
				d.sums[edge][k].add(*b)
				*b = block{number: number}
			}
			b.bad += float64(worth * float64(r.Bad))
			b.n += float64(worth * float64(r.N))
			b.square += float64(worth * worth * float64(r.N))
		}
	}
}

func (s *blockSums) add(b block) {
	if b.n == 0 {
		return
	}
	s.blocks++
	s.bad, s.n, s.square = s.bad+b.bad, s.n+b.n, s.square+b.square
	s.badTimesBad += float64(b.bad * b.bad)
	s.badTimesN += float64(b.bad * b.n)
	s.nTimesN += float64(b.n * b.n)
}

// excess is how much the variance of the blocks' sums exceeds that of independent
// requests, in units of the latter; 0 where that is no surprise. source: Cochran,
// 1954, with the variance of a sum of rare events.
func (s *blockSums) excess() float64 {
	if s.bad <= 0 || s.bad >= s.n {
		return 0
	}
	share := s.bad / s.n
	each := float64(share * (1 - share))
	seen := s.badTimesBad - float64(2*share*s.badTimesN) + float64(share*share*s.nTimesN)
	independent := float64(each * s.square)
	doubt := float64(independent * math.Sqrt((2+s.blocks/independent)/s.blocks))
	if seen-independent < surprise*doubt {
		return 0
	}
	return (seen - independent) / (each * s.n)
}

// excess is the largest of all lengths at an edge, and how many requests a second
// of a pod counted as.
func (d *dispersion) excess(edge int) (most, perSecond float64) {
	for k := range d.sums[edge] {
		most = max(most, d.sums[edge][k].excess())
	}
	return most, d.sums[edge][0].n / max(1, d.sums[edge][0].blocks)
}

// disperse says how many of the candidate's requests are worth one for each
// suspect, after what stable's do: as that root of their likelihood ratio they may
// depend on each other as they like (Hölder; research: statistics §2g). A queue
// joins as many as come while it lasts: a candidate that gets fewer has fewer of
// them together.
func (w *Watch) disperse() {
	for i, s := range edgeSuspects() {
		w.phi[s] = 1
		excess, stable := w.dispersion.excess(i)
		if _, pods := w.trail.loudest(s, w.looked); excess > 0 && pods > 0 {
			own := w.trail.perSecond(s, w.looked) / float64(pods)
			w.phi[s] = 1 + float64(excess*min(1, own/stable))
		}
	}
}

// perSecond is how many requests a second of the trail counts as, on average.
func (t *trail) perSecond(s suspect, now int64) float64 {
	n, seconds := 0.0, 0
	for second := max(t.begun, now-trailLength+1); second < now; second++ {
		n += min(float64(t.at(second, s, everyPod).N), s.pace())
		seconds++
	}
	return n / float64(max(seconds, 1))
}
