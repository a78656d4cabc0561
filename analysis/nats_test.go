package analysis

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

func TestOwnLogarithmAndExponentialAgreeWithTheStandardLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Float64Range(1e-300, 1e300).Draw(t, "x")
		assert.InEpsilon(t, math.Log(x)+1e3, ln(x)+1e3, 2e-15)
		near := rapid.Float64Range(0.5, 2).Draw(t, "near")
		assert.InDelta(t, math.Log(near), ln(near), 3e-15)
		y := rapid.Float64Range(-700, 700).Draw(t, "y")
		assert.InEpsilon(t, math.Exp(y), expo(y), 1e-14)
	})
	assert.Zero(t, expo(-1e9))
	assert.True(t, math.IsInf(expo(1e9), 1))
}

func TestFixedPointNeverOverflows(t *testing.T) {
	assert.Equal(t, nats(natsLimit), fixed(math.Inf(1)))
	assert.Equal(t, nats(-natsLimit), fixed(-1e300).plus(-5))
	assert.InDelta(t, 1.25, fixed(1.25).float(), 0)
}

func BenchmarkOwnExponential(b *testing.B) {
	sum := 0.0
	for i := 0; b.Loop(); i++ {
		sum += expo(-float64(i%100) / 7)
	}
}

func BenchmarkStandardExponential(b *testing.B) {
	sum := 0.0
	for i := 0; b.Loop(); i++ {
		sum += math.Exp(-float64(i%100) / 7)
	}
}

func BenchmarkOwnLogarithm(b *testing.B) {
	sum := 0.0
	for i := 0; b.Loop(); i++ {
		sum += ln(float64(i%1000) + 0.5)
	}
}
