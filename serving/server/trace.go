package server

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// traceOf reads the caller's place in its trace (W3C Trace Context); the zero
// one if it named none.
func traceOf(c propagation.TextMapCarrier) trace.SpanContext {
	ctx := propagation.TraceContext{}.Extract(context.Background(), c)
	return trace.SpanContextFromContext(ctx)
}

// context is what a batch runs under: in the trace of its first traced request,
// for a backend that asks another server.
func (j *job) context() context.Context {
	ctx := context.Background()
	for _, c := range j.calls {
		if c.asked.trace.IsValid() {
			return trace.ContextWithRemoteSpanContext(ctx, c.asked.trace)
		}
	}
	return ctx
}

// traced records where a request's time went, under the caller's span. It costs
// nothing for requests that are not sampled.
func (e *engine) traced(j *job, c *call) {
	if e.tracer == nil || !c.asked.trace.IsSampled() {
		return
	}
	ctx := trace.ContextWithRemoteSpanContext(context.Background(), c.asked.trace)
	ended := j.computing.Add(j.spent.Device)
	span := func(ctx context.Context, name string, from, to time.Time, with ...attribute.KeyValue) context.Context {
		ctx, s := e.tracer.Start(ctx, name, trace.WithTimestamp(from), trace.WithAttributes(with...))
		s.End(trace.WithTimestamp(to))
		return ctx
	}
	ctx = span(ctx, "infer", c.arrived, time.Now(), attribute.Int("rows", c.bound.Items))
	span(ctx, "queue", c.arrived, c.started)
	span(ctx, "batch", c.started, j.computing,
		attribute.Int64("batch.id", int64(j.id)), attribute.Int("batch.requests", len(j.calls)), attribute.Int("batch.rows", j.rows))
	span(ctx, "run", j.computing, ended)
}
