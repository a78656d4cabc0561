package main

import (
	"context"
	"os"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-dev/sluice/canary"
	"github.com/sluice-dev/sluice/canary/controller"
	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds/ads"
)

// tracing turns decisions into spans: a decision that publishes a split is the
// parent, and its publish lasts until every connected proxy acknowledged it.
type tracing struct {
	tracer trace.Tracer
	close  func(context.Context) error

	mu   sync.Mutex
	open map[config.Key]published
}

// published is the newest split of a route. Its answer may be heard before its
// decision is recorded: then there is an answer and no span yet.
type published struct {
	epoch  uint64
	span   trace.Span
	answer func(trace.Span)
}

// newTracing sends spans to the OTLP endpoint that OpenTelemetry's standard
// variables name. Without one it gives nil, and nothing is traced.
func newTracing(ctx context.Context) (*tracing, error) {
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
		return nil, nil //nolint:nilnil // nothing is traced, and that is no mistake
	}
	exporter, err := otlptracegrpc.New(ctx)
	if err != nil {
		return nil, err
	}
	about, err := resource.New(ctx, resource.WithFromEnv(), resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "sluice"), attribute.String("service.version", versionText())))
	if err != nil {
		return nil, err
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	return tracingOf(provider.Tracer("sluice"), provider.Shutdown), nil
}

func tracingOf(t trace.Tracer, shut func(context.Context) error) *tracing {
	return &tracing{tracer: t, close: shut, open: map[config.Key]published{}}
}

// Record starts the spans of one decision.
func (t *tracing) Record(d canary.Decision, _ controller.Snapshot) {
	if t == nil {
		return
	}
	ctx, span := t.tracer.Start(context.Background(), "decision "+string(d.Event), trace.WithTimestamp(d.At), trace.WithAttributes(
		attribute.String("sluice.route", d.Route.String()), attribute.String("sluice.rollout", d.Rollout),
		attribute.Int64("sluice.decision", int64(d.Seq)), attribute.String("sluice.actor", d.Actor),
		attribute.String("sluice.rule", d.Rule), attribute.String("sluice.text", d.Text),
		attribute.String("sluice.from", string(d.From.Phase)), attribute.String("sluice.to", string(d.To.Phase)),
	))
	span.End()
	t.mu.Lock()
	defer t.mu.Unlock()
	last := t.open[d.Route]
	if d.Split.Epoch < last.epoch || d.Split.Epoch == last.epoch && last.answer == nil {
		return
	}
	if last.span != nil {
		last.span.SetStatus(codes.Error, "a newer split took its place")
		last.span.End()
	}
	_, publish := t.tracer.Start(ctx, "publish", trace.WithAttributes(
		attribute.String("sluice.route", d.Route.String()), attribute.Int64("sluice.epoch", int64(d.Split.Epoch)),
		attribute.Int64("sluice.weight", int64(d.To.Weight)),
	))
	if last.answer != nil && last.epoch == d.Split.Epoch {
		last.answer(publish)
		publish.End()
		publish = nil
	}
	t.open[d.Route] = published{epoch: d.Split.Epoch, span: publish}
}

// Heard ends the publish span that a proxy's answer belongs to.
func (t *tracing) Heard(e ads.Event) {
	if t == nil {
		return
	}
	switch e := e.(type) {
	case ads.Acked:
		t.end(e.Route, e.Epoch, func(s trace.Span) {
			s.SetAttributes(attribute.Int("sluice.proxies", e.Proxies))
			s.SetStatus(codes.Ok, "")
		})
	case ads.Nacked:
		t.end(e.Route, e.Epoch, func(s trace.Span) { s.SetStatus(codes.Error, e.Text) })
	}
}

func (t *tracing) end(k config.Key, epoch uint64, say func(trace.Span)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := t.open[k]
	switch {
	case epoch > last.epoch:
		t.open[k] = published{epoch: epoch, answer: say}
	case epoch == last.epoch && last.span != nil:
		say(last.span)
		last.span.End()
		t.open[k] = published{epoch: epoch}
	}
}

// Close sends what is left.
func (t *tracing) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.close(ctx)
}
