package analysis_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
)

func TestAnEndingHasOneOutcome(t *testing.T) {
	for _, test := range []struct {
		name string
		end  analysis.Ending
		want analysis.Outcome
	}{
		{"an answer", analysis.Ending{Code: 200}, analysis.Succeeded},
		{"an error", analysis.Ending{Code: 503}, analysis.Failed},
		{"a server's own 504", analysis.Ending{Code: 504}, analysis.Failed},
		{"Envoy's 504", analysis.Ending{Code: 504, Flags: analysis.FlagUT}, analysis.TimedOut},
		{"an error that never ended", analysis.Ending{Code: 503, Flags: analysis.FlagUT}, analysis.Failed},
		{"an error whose client left", analysis.Ending{Code: 500, Flags: analysis.FlagDC}, analysis.Failed},
		{"no answer", analysis.Ending{}, analysis.Failed},
		{"no answer in time", analysis.Ending{Flags: analysis.FlagUT}, analysis.TimedOut},
		{"no connection", analysis.Ending{Flags: analysis.FlagUF}, analysis.Failed},
		{"a reset amid an answer", analysis.Ending{Code: 200, Flags: analysis.FlagUR}, analysis.TimedOut},
		{"a client that left", analysis.Ending{Code: 200, Flags: analysis.FlagDR}, analysis.Abandoned},
		{"a client's fault", analysis.Ending{Code: 429}, analysis.ClientFault},
		{"a gRPC error", analysis.Ending{Code: 200, GRPC: 14}, analysis.Failed},
		{"a gRPC client's fault", analysis.Ending{Code: 200, GRPC: 3}, analysis.ClientFault},
	} {
		require.Equal(t, test.want, test.end.Outcome(), test.name)
	}
}

func TestAFlagHasOneShortName(t *testing.T) {
	var all analysis.Flags
	for _, short := range []string{"UH", "UT", "LR", "UR", "UF", "UC", "UO", "DC", "SI", "DPE", "UMSDR", "DT", "UPE", "NC", "DF", "DR"} {
		flag := analysis.FlagOf(short)
		require.NotZero(t, flag, short)
		require.False(t, all.Any(flag), short)
		all |= flag
	}
	require.Equal(t, analysis.FlagsLeft|analysis.FlagsSlow|analysis.FlagsBroken, all)
	require.Zero(t, analysis.FlagOf("RL"))
}

func TestAGRPCStatusIsANumberOrAName(t *testing.T) {
	for text, want := range map[string]uint64{"": 0, "0": 0, "OK": 0, "14": 14, "Unavailable": 14, "DATA_LOSS": 15, "99": 99} {
		got, ok := analysis.GRPCStatus([]byte(text))
		require.True(t, ok, text)
		require.Equal(t, want, got, text)
	}
	got, ok := analysis.GRPCStatus([]byte("odd"))
	require.False(t, ok)
	require.Equal(t, uint64(2), got)
}
