package main

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds/ads"
)

func TestADecisionIsTheParentOfItsPublishUntilTheProxiesAnswer(t *testing.T) {
	key := config.Key{Namespace: "ml", Name: "filetype"}
	decision := func(epoch uint64) canary.Decision {
		return canary.Decision{Route: key, Event: canary.KindJudged, Split: config.Split{Epoch: epoch}}
	}
	tests := []struct {
		name string
		tell func(*tracing)
		want []string // in the order of ending
	}{
		{"an acknowledgement ends it well", func(tr *tracing) {
			tr.Record(decision(1), controller.Snapshot{})
			tr.Heard(ads.Acked{Route: key, Epoch: 1, Proxies: 2})
		}, []string{"decision Judged Unset", "publish Ok"}},
		{"an acknowledgement may be heard first", func(tr *tracing) {
			tr.Heard(ads.Acked{Route: key, Epoch: 1, Proxies: 2})
			tr.Record(decision(1), controller.Snapshot{})
		}, []string{"decision Judged Unset", "publish Ok"}},
		{"a refusal ends it with the proxy's words", func(tr *tracing) {
			tr.Record(decision(1), controller.Snapshot{})
			tr.Heard(ads.Nacked{Route: key, Epoch: 1, Text: "bad regex"})
		}, []string{"decision Judged Unset", "publish Error bad regex"}},
		{"a newer split ends the one before", func(tr *tracing) {
			tr.Record(decision(1), controller.Snapshot{})
			tr.Record(decision(2), controller.Snapshot{})
			tr.Heard(ads.Acked{Route: key, Epoch: 1})
			tr.Heard(ads.Acked{Route: key, Epoch: 2})
		}, []string{"decision Judged Unset", "decision Judged Unset", "publish Error a newer split took its place", "publish Ok"}},
		{"a decision without a new split publishes nothing", func(tr *tracing) {
			tr.Record(decision(1), controller.Snapshot{})
			tr.Heard(ads.Acked{Route: key, Epoch: 1})
			tr.Record(decision(1), controller.Snapshot{})
		}, []string{"decision Judged Unset", "publish Ok", "decision Judged Unset"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			recorder := tracetest.NewSpanRecorder()
			provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
			tr := tracingOf(provider.Tracer("test"), provider.Shutdown)
			tt.tell(tr)
			var got []string
			for _, s := range recorder.Ended() {
				text := s.Name() + " " + s.Status().Code.String()
				if s.Status().Code == codes.Error {
					text += " " + s.Status().Description
				}
				got = append(got, text)
				if s.Name() == "publish" {
					require.True(t, s.Parent().IsValid(), "publish has its decision as parent")
				}
			}
			require.Equal(t, tt.want, got)
			require.NoError(t, tr.Close(context.Background()))
		})
	}
}

func TestWithoutAnEndpointNothingIsTraced(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
	tr, err := newTracing(t.Context())
	require.NoError(t, err)
	require.Nil(t, tr)
	tr.Record(canary.Decision{}, controller.Snapshot{})
	tr.Heard(ads.Acked{})
	require.NoError(t, tr.Close(t.Context()))
}
