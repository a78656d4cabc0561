package config

import "time"

// Duration is a time.Duration written as "250ms", "2m" or "24h".
type Duration time.Duration

// D gives the time.Duration.
func (d Duration) D() time.Duration { return time.Duration(d) }

// Percent is a share written as "0.5%", held in parts per million.
type Percent int64

// PerMillion of the whole: 1% is 10,000.
const PerMillion = 1_000_000

// Fraction gives 0.005 for "0.5%".
func (p Percent) Fraction() float64 { return float64(p) / PerMillion }

// BasisPoints gives 50 for "0.5%"; parts of a basis point are cut off.
func (p Percent) BasisPoints() uint32 { return uint32(p / 100) }

// Quantile is written as "p95" or "p99.9" and held as 0.95, 0.999.
type Quantile float64

// Above is a ratio to stable written as ">1.5x" and held as 1.5.
type Above float64

// Below is a ratio to stable written as "<2x", or "<2x or slo" where meeting
// the SLO is enough.
type Below struct {
	Ratio float64
	OrSLO bool
}
