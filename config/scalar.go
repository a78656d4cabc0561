package config

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// What a written scalar is when it is not what it should be.
var (
	errDuration = errors.New(`is not a duration such as 250ms, 2m or 24h`)
	errPercent  = errors.New(`is not a percentage from 0% to 100% with at most four decimals`)
	errQuantile = errors.New(`is not a quantile such as p95 or p99.9`)
	errAbove    = errors.New(`is not a ratio to stable such as ">1.5x"`)
	errBelow    = errors.New(`is not a ratio to stable such as "<2x" or "<2x or slo"`)
)

// Duration is a time.Duration written as "250ms", "2m" or "24h". It is never
// negative.
type Duration time.Duration

// D gives the time.Duration.
func (d Duration) D() time.Duration { return time.Duration(d) }

// String writes the duration with no zero parts: "2m", "1h30m".
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText gives String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what time.ParseDuration reads, but for a sign.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil || parsed < 0 || bytes.ContainsAny(text, "+-") {
		return errDuration
	}
	*d = Duration(parsed)
	return nil
}

// Percent is a share written as "0.5%", held in parts per million.
type Percent int64

// PerMillion of the whole: 1% is 10,000.
const PerMillion = 1_000_000

const perPercent = PerMillion / 100

// Fraction gives 0.005 for "0.5%".
func (p Percent) Fraction() float64 { return float64(p) / PerMillion }

// BasisPoints gives 50 for "0.5%"; parts of a basis point are cut off.
func (p Percent) BasisPoints() uint32 { return uint32(p / 100) }

// String gives "0.5%" for 5,000 parts per million.
func (p Percent) String() string {
	return strconv.FormatFloat(float64(p)/perPercent, 'f', -1, 64) + "%"
}

// MarshalText gives String.
func (p Percent) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a percentage from 0% to 100% with at most four decimals.
func (p *Percent) UnmarshalText(text []byte) error {
	number, ok := strings.CutSuffix(string(text), "%")
	if !ok || !isDecimal(number, 4) {
		return errPercent
	}
	parsed, err := strconv.ParseFloat(number, 64)
	if err != nil || parsed > 100 {
		return errPercent
	}
	*p = Percent(math.Round(parsed * perPercent))
	return nil
}

// Quantile is written as "p95" or "p99.9" and held as 0.95, 0.999.
type Quantile float64

// String gives "p99.9" for 0.999.
func (q Quantile) String() string {
	percent := math.Round(float64(q)*PerMillion) / perPercent
	return "p" + strconv.FormatFloat(percent, 'f', -1, 64)
}

// MarshalText gives String.
func (q Quantile) MarshalText() ([]byte, error) { return []byte(q.String()), nil }

// UnmarshalText reads "p" and a number above 0 and below 100 with at most four
// decimals.
func (q *Quantile) UnmarshalText(text []byte) error {
	number, ok := strings.CutPrefix(string(text), "p")
	if !ok || !isDecimal(number, 4) {
		return errQuantile
	}
	parsed, err := strconv.ParseFloat(number, 64)
	if err != nil || parsed <= 0 || parsed >= 100 {
		return errQuantile
	}
	*q = Quantile(math.Round(parsed*perPercent) / PerMillion)
	return nil
}

// Above is a ratio to stable written as ">1.5x" and held as 1.5.
type Above float64

// String gives ">1.5x" for 1.5.
func (a Above) String() string { return ">" + ratio(float64(a)) }

// MarshalText gives String.
func (a Above) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads ">1.5x".
func (a *Above) UnmarshalText(text []byte) error {
	number, ok := strings.CutPrefix(string(text), ">")
	if !ok {
		return errAbove
	}
	parsed, ok := parseRatio(number)
	if !ok {
		return errAbove
	}
	*a = Above(parsed)
	return nil
}

// Below is a ratio to stable written as "<2x", or "<2x or slo" where meeting
// the SLO is enough.
type Below struct {
	Ratio float64 `json:"ratio"`
	OrSLO bool    `json:"orSlo"`
}

const orSLO = " or slo"

// String gives "<2x" or "<2x or slo".
func (b Below) String() string {
	if b.OrSLO {
		return "<" + ratio(b.Ratio) + orSLO
	}
	return "<" + ratio(b.Ratio)
}

// MarshalText gives String.
func (b Below) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads "<2x" or "<2x or slo".
func (b *Below) UnmarshalText(text []byte) error {
	number, ok := strings.CutPrefix(string(text), "<")
	if !ok {
		return errBelow
	}
	number, slo := strings.CutSuffix(number, orSLO)
	parsed, ok := parseRatio(number)
	if !ok {
		return errBelow
	}
	*b = Below{Ratio: parsed, OrSLO: slo}
	return nil
}

func ratio(r float64) string { return strconv.FormatFloat(r, 'f', -1, 64) + "x" }

func parseRatio(text string) (float64, bool) {
	number, ok := strings.CutSuffix(text, "x")
	if !ok || !isDecimal(number, 6) {
		return 0, false
	}
	parsed, err := strconv.ParseFloat(number, 64)
	return parsed, err == nil
}

// isDecimal says whether text is digits with at most so many decimals: no sign,
// no exponent, and no more than nine digits before the point.
func isDecimal(text string, decimals int) bool {
	whole, fraction, point := strings.Cut(text, ".")
	if point && (fraction == "" || len(fraction) > decimals) {
		return false
	}
	return whole != "" && len(whole) <= 9 && isDigits(whole) && isDigits(fraction)
}

func isDigits(text string) bool {
	return strings.Trim(text, "0123456789") == ""
}
