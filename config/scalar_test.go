package config

import (
	"encoding"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestScalars(t *testing.T) {
	type scalar interface {
		encoding.TextMarshaler
		String() string
	}
	read := func(into encoding.TextUnmarshaler, text string) error { return into.UnmarshalText([]byte(text)) }
	duration := func(text string) (scalar, error) { var d Duration; err := read(&d, text); return d, err }
	percent := func(text string) (scalar, error) { var p Percent; err := read(&p, text); return p, err }
	quantile := func(text string) (scalar, error) { var q Quantile; err := read(&q, text); return q, err }
	above := func(text string) (scalar, error) { var a Above; err := read(&a, text); return a, err }
	below := func(text string) (scalar, error) { var b Below; err := read(&b, text); return b, err }

	tests := []struct {
		read  func(text string) (scalar, error)
		text  string
		want  scalar
		again string // how it is written; empty: as it was
	}{
		{duration, "250ms", Duration(250 * time.Millisecond), ""},
		{duration, "2m", Duration(2 * time.Minute), ""},
		{duration, "168h", Duration(168 * time.Hour), ""},
		{duration, "1h30m", Duration(90 * time.Minute), ""},
		{duration, "90s", Duration(90 * time.Second), "1m30s"},
		{duration, "10m", Duration(10 * time.Minute), ""},
		{duration, "20h10m", Duration(20*time.Hour + 10*time.Minute), ""},
		{duration, "0", Duration(0), "0s"},
		{percent, "0.5%", Percent(5000), ""},
		{percent, "100%", Percent(PerMillion), ""},
		{percent, "0%", Percent(0), ""},
		{percent, "33.33%", Percent(333300), ""},
		{percent, "0.0001%", Percent(1), ""},
		{percent, "5.50%", Percent(55000), "5.5%"},
		{quantile, "p50", Quantile(0.5), ""},
		{quantile, "p95", Quantile(0.95), ""},
		{quantile, "p99.9", Quantile(0.999), ""},
		{quantile, "p99.99", Quantile(0.9999), ""},
		{above, ">1.5x", Above(1.5), ""},
		{above, ">1.10x", Above(1.1), ">1.1x"},
		{above, ">1x", Above(1), ""},
		{below, "<2x", Below{Ratio: 2}, ""},
		{below, "<2x or slo", Below{Ratio: 2, OrSLO: true}, ""},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			got, err := test.read(test.text)
			require.NoError(t, err)
			require.Equal(t, test.want, got)

			if test.again == "" {
				test.again = test.text
			}
			text, err := got.MarshalText()
			require.NoError(t, err)
			require.Equal(t, test.again, string(text))
			require.Equal(t, test.again, got.String())
		})
	}

	refused := map[string]func(string) (scalar, error){
		"-1s": duration, "+1s": duration, "1 s": duration, "": duration, "1d": duration, "9999999h": duration, "1h-5m": duration,
		"5": percent, "%": percent, "1e2%": percent, "100.0001%": percent, "0.00001%": percent, "NaN%": percent, "1_0%": percent, "5.%": percent,
		"0.95": quantile, "p0": quantile, "p100": quantile, "pp5": quantile, "pNaN": quantile,
		"1.5x": above, ">1.5": above, ">x": above, ">-1x": above, ">Infx": above, ">0x1p1x": above, "> 1.5x": above, ">1.1234567x": above,
		"<2": below, ">2x": below, "<2x or": below, "<2x  or slo": below, "<2x or slo or slo": below,
	}
	for text, read := range refused {
		t.Run("refuses "+text, func(t *testing.T) {
			_, err := read(text)

			require.Error(t, err)
		})
	}
}

func TestPercentInOtherUnits(t *testing.T) {
	require.InDelta(t, 0.005, Percent(5000).Fraction(), 1e-15)
	require.EqualValues(t, 50, Percent(5000).BasisPoints())
	require.EqualValues(t, 0, Percent(99).BasisPoints(), "parts of a basis point are cut off")
}
