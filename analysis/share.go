package analysis

import (
	"cmp"
	"math"
	"slices"
)

// openEpochs is the number of epochs that a split may be checked of at a time;
// requests of older ones are rare and count no more.
const openEpochs = 6

// shares is the evidence that requests were not split as declared, which would
// void every other test: wrong labels, lost logs, a proxy with an old route.
// source: Lindon and Malek 2022, with a prior of a hundred requests.
type shares struct {
	Past nats    `json:"past"` // of epochs no longer held
	Open []share `json:"open,omitempty"`
}

// share counts one epoch's requests. Declared does not change once seen.
type share struct {
	Epoch     uint64 `json:"epoch"`
	Declared  uint32 `json:"declared"` // basis points of the candidate
	Stable    int64  `json:"stable"`
	Candidate int64  `json:"candidate"`
}

func (s shares) clone() shares {
	s.Open = slices.Clone(s.Open)
	return s
}

// add counts one stratum under its epoch's declared share. An epoch older than
// all held, once others had to give way, counts no more.
func (s *shares) add(st stratum, declared uint32) {
	i, found := slices.BinarySearchFunc(s.Open, st.epoch, func(h share, epoch uint64) int {
		return cmp.Compare(h.Epoch, epoch)
	})
	if !found {
		if declared == 0 || declared >= 10_000 || i == 0 && len(s.Open) == openEpochs {
			return
		}
		s.Open = slices.Insert(s.Open, i, share{Epoch: st.epoch, Declared: declared})
		if len(s.Open) > openEpochs {
			s.Past = s.Past.plus(fixed(s.Open[0].logE()))
			s.Open = slices.Delete(s.Open, 0, 1)
			i--
		}
	}
	s.Open[i].Stable += st.stable.issued()
	s.Open[i].Candidate += st.candidate.issued()
}

// logE multiplies the epochs' evidence.
func (s shares) logE() float64 {
	sum := s.Past
	for _, h := range s.Open {
		sum = sum.plus(fixed(h.logE()))
	}
	return sum.float()
}

// priorRequests is the weight of the belief in the declared shares.
const priorRequests = 100

func (h share) logE() float64 {
	theta := float64(h.Declared) / 10_000
	counts := []int64{h.Candidate, h.Stable}
	shares := []float64{theta, 1 - theta}
	prior := []float64{priorRequests * theta, priorRequests * (1 - theta)}
	unequal, equal := logMarginals(counts, shares, prior)
	return unequal - equal
}

// logMarginals is the log probability of a sequence of assignments with these
// counts, where shares are drawn from a Dirichlet prior, and where they are as
// declared.
func logMarginals(counts []int64, shares, prior []float64) (drawn, declared float64) {
	total, n := 0.0, 0.0
	for i, c := range counts {
		drawn += lnRising(prior[i], c)
		declared += float64(float64(c) * ln(shares[i]))
		total, n = total+prior[i], n+float64(c)
	}
	return drawn - lnRising(total, int64(n)), declared
}

// lnRising is log Γ(a+n)/Γ(a).
func lnRising(a float64, n int64) float64 { return lnGamma(a+float64(n)) - lnGamma(a) }

// lnGamma is log Γ(x) for x > 0, by Stirling's series above 10.
func lnGamma(x float64) float64 {
	below := 1.0
	for ; x < 10; x++ {
		below *= x
	}
	inverse := 1 / x
	square := inverse * inverse
	series := float64(inverse * (1./12 - float64(square*(1./360-float64(square*(1./1260-square/1680))))))
	return float64((x-0.5)*ln(x)) - x + float64(0.5*ln(2*math.Pi)) + series - ln(below)
}
