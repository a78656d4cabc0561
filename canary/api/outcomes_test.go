package api_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/canary/api"
	"github.com/sluice-dev/sluice/canary/controller"
)

const outcomesPath = "/api/v1/routes/ml/filetype/outcomes"

func TestOutcomesAreTakenAsAnArrayOrAsLines(t *testing.T) {
	want := []analysis.ABReport{
		{Unit: "alice", Outcome: "clicks", Value: 1},
		{Request: "r7", Outcome: "rating", Value: 4.5, At: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)},
	}
	first, second := `{"unit":"alice","outcome":"clicks","value":1}`, `{"request":"r7","outcome":"rating","value":4.5,"time":"2026-01-01T00:00:00Z"}`
	for name, body := range map[string]string{"array": "\n[" + first + "," + second + "]", "lines": first + "\n" + second + "\n"} {
		t.Run(name, func(t *testing.T) {
			f := &fleet{}
			f.replace(stepping())
			w := ask(serverOf(f), http.MethodPost, outcomesPath, body)
			require.Equal(t, 200, w.Code, w.Body)
			require.JSONEq(t, `{"test":"abtest-1","taken":2,"malformed":0}`, w.Body.String())
			require.Equal(t, want, f.told)
		})
	}
}

func TestWhatAreNoOutcomesIsRefusedWhole(t *testing.T) {
	f := &fleet{}
	f.replace(stepping())
	one := `{"unit":"a","outcome":"clicks","value":1}`
	for _, tt := range []struct{ name, body, want string }{
		{"no value", `[` + one + `,{"unit":"a","outcome":"clicks"}]`, "outcome 1: value: is missing"},
		{"a null", `[null]`, "outcome 0: value: is missing"},
		{"an unknown field", `{"user":"a"}`, `outcome 0: json: unknown field \"user\"`},
		{"no JSON", one + "clicks", "outcome 1: invalid character"},
		{"half an array", "[" + one, "outcome 1: unexpected EOF"},
		{"an array after outcomes", one + "[" + one + "]", "outcome 1: json: cannot unmarshal array"},
		{"more than an array", "[]" + one, "outcome 0: comes after the end of the array"},
		{"too many", strings.Repeat(one, 10_001), "body: has more than 10000 outcomes: send them in parts"},
		{"too much", strings.Repeat(" ", 9<<20), "outcome 0: http: request body too large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := ask(serverOf(f), http.MethodPost, outcomesPath, tt.body)
			require.Equal(t, http.StatusBadRequest, w.Code)
			require.Contains(t, w.Body.String(), tt.want)
		})
	}
	require.Empty(t, f.told)
}

func TestOutcomesWithoutATestAreRefusedAndABusyControllerSaysSo(t *testing.T) {
	f := &fleet{err: controller.ErrNoTest}
	f.replace(stepping())
	w := ask(serverOf(f), http.MethodPost, outcomesPath, "[]")
	require.Equal(t, http.StatusConflict, w.Code)
	require.Contains(t, w.Body.String(), "no A/B test with outcomes runs")
	f.err = controller.ErrBusy
	require.Equal(t, http.StatusServiceUnavailable, ask(serverOf(f), http.MethodPost, outcomesPath, "[]").Code)
	require.Equal(t, http.StatusNotFound, ask(serverOf(f), http.MethodPost, "/api/v1/routes/ml/other/outcomes", "[]").Code)
}

func TestAnOutcomeReaderStaysAtItsEnd(t *testing.T) {
	for _, in := range []string{"", " \n", "[]", `{"unit":"a","outcome":"clicks","value":1}`, `[{"unit":"a","outcome":"clicks","value":1}]` + "\n"} {
		r := api.NewOutcomeReader(strings.NewReader(in))
		var read int
		var err error
		for ; err == nil; read++ {
			_, err = r.Next()
		}
		require.Equal(t, strings.Count(in, "alue")+1, read, in)
		for range 2 {
			require.ErrorIs(t, err, io.EOF, in)
			_, err = r.Next()
		}
	}
}

func TestOutcomesAreJSONOrLinesOfIt(t *testing.T) {
	f := &fleet{}
	f.replace(stepping())
	for media, code := range map[string]int{"application/json": 200, "application/x-ndjson": 200, "text/plain": 415} {
		w := ask(serverOf(f), http.MethodPost, outcomesPath, "[]", func(r *http.Request) { r.Header.Set("Content-Type", media) })
		require.Equal(t, code, w.Code, media)
		if code != 200 {
			require.Contains(t, w.Body.String(), `is not application/json or application/x-ndjson, found \"text/plain\"`)
		}
	}
}
