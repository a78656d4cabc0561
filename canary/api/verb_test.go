package api_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-dev/sluice/canary"
)

func TestEveryVerbIsAnEventOfTheMachine(t *testing.T) {
	by := canary.By{Actor: "ann", Reason: "why not"}
	tests := []struct {
		verb, more string
		want       canary.Event
	}{
		{"approve", `,"hash":"3fa9"`, canary.Approved{At: noon, By: by, Hash: "3fa9"}},
		{"reject", ``, canary.Rejected{At: noon, By: by}},
		{"promote", ``, canary.Promoted{At: noon, By: by}},
		{"promote", `,"full":true,"overrideEvidence":true,"force":true`, canary.Promoted{At: noon, By: by, Full: true, OverrideEvidence: true, Force: true}},
		{"hold", ``, canary.Held{At: noon, By: by}},
		{"resume", ``, canary.Resumed{At: noon, By: by}},
		{"abort", ``, canary.Aborted{At: noon, By: by}},
		{"rollback", `,"force":true`, canary.Reverted{At: noon, By: by, Force: true}},
		{"retry", ``, canary.Retried{At: noon, By: by}},
	}
	for _, test := range tests {
		t.Run(test.verb+test.more, func(t *testing.T) {
			f := &fleet{decision: canary.Decision{Seq: 13, Text: "done"}}
			f.replace(stepping())
			w := ask(serverOf(f), http.MethodPost, "/api/v1/routes/ml/filetype/verbs/"+test.verb, `{"actor":" ann ","reason":"why not"`+test.more+`}`)
			require.Equal(t, 200, w.Code, w.Body)
			require.Contains(t, w.Body.String(), `"text":"done"`)
			require.Equal(t, []canary.Event{test.want}, f.done)
		})
	}
}

func TestWhatIsNoVerbNamesTheField(t *testing.T) {
	tests := []struct {
		name, verb, body string
		want             string
	}{
		{"an unknown verb", "undo", `{"actor":"ann","reason":"b","hash":"c"}`, `verb: is not one of approve, reject, promote, hold, resume, abort, rollback, retry, found \"undo\"`},
		{"no actor", "abort", `{"reason":"b"}`, "actor: is missing"},
		{"a blank reason", "abort", `{"actor":"ann","reason":" \t"}`, "reason: is missing; it goes into the review"},
		{"an approval of nothing", "approve", `{"actor":"ann","reason":"b"}`, "hash: is missing"},
		{"a hash for another verb", "abort", `{"actor":"ann","reason":"b","hash":"c"}`, "hash: belongs to approve, not to abort"},
		{"full for another verb", "abort", `{"actor":"ann","reason":"b","full":true}`, "full: belongs to promote, not to abort"},
		{"an override for another verb", "resume", `{"actor":"ann","reason":"b","overrideEvidence":true}`, "overrideEvidence: belongs to promote, not to resume"},
		{"an override of a single wait", "promote", `{"actor":"ann","reason":"b","overrideEvidence":true}`, "overrideEvidence: needs full"},
		{"force for another verb", "hold", `{"actor":"ann","reason":"b","force":true}`, "force: belongs to promote and rollback, not to hold"},
		{"an unknown field", "abort", `{"actor":"ann","reason":"b","reasn":"c"}`, `body: json: unknown field \"reasn\"`},
		{"two verbs at once", "abort", `{"actor":"ann","reason":"b"}{}`, "body: goes on after the verb"},
		{"no JSON", "abort", `abort`, "body: invalid character"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := &fleet{}
			f.replace(stepping())
			w := ask(serverOf(f), http.MethodPost, "/api/v1/routes/ml/filetype/verbs/"+test.verb, test.body)
			require.Equal(t, 400, w.Code, w.Body)
			require.Contains(t, w.Body.String(), test.want)
			require.Empty(t, f.done, "nothing is done")
		})
	}
}

func TestTheMachinesNo(t *testing.T) {
	const abort, body = "/api/v1/routes/ml/filetype/verbs/abort", `{"actor":"ann","reason":"b"}`
	t.Run("a refusal is a conflict with its reason", func(t *testing.T) {
		f := &fleet{decision: canary.Decision{Refused: true, Text: "no rollout is running; v3-2 is stable"}}
		f.replace(stepping())
		w := ask(serverOf(f), http.MethodPost, abort, body)
		require.Equal(t, 409, w.Code)
		require.JSONEq(t, `{"error":"no rollout is running; v3-2 is stable","kind":"Refused"}`, w.Body.String())
	})
	t.Run("a controller that does not answer is no refusal", func(t *testing.T) {
		f := &fleet{err: errors.New("ml/filetype: has ended")}
		f.replace(stepping())
		w := ask(serverOf(f), http.MethodPost, abort, body)
		require.Equal(t, 503, w.Code)
		require.JSONEq(t, `{"error":"ml/filetype: has ended"}`, w.Body.String())
	})
	t.Run("an unknown inference route names those there are", func(t *testing.T) {
		f := &fleet{}
		f.replace(gated())
		w := ask(serverOf(f), http.MethodPost, abort, body)
		require.Equal(t, 404, w.Code)
		require.Contains(t, w.Body.String(), "ml/filetype is not one of: ml/langid")
		require.Empty(t, f.done)
	})
}
