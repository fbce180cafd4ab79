package telemetry

import (
	"context"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// Statements makes spans of the statements that requests which are traced send
// to PostgreSQL; what goes on in the background makes none. A span has the text
// of the statement, never its arguments. The renewals of many requests share a
// statement, which is no single one's: it has no span either.
func Statements(tracer trace.Tracer) pgx.QueryTracer {
	return statements{otelpgx.NewTracer(otelpgx.WithTracerProvider(provider{tracer: tracer}))}
}

// statements is a query tracer only: connecting and preparing is nobody's.
type statements struct{ next *otelpgx.Tracer }

type begun struct{}

// TraceQueryStart is pgx.QueryTracer.
func (s statements) TraceQueryStart(ctx context.Context, c *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return ctx
	}
	return context.WithValue(s.next.TraceQueryStart(ctx, c, d), begun{}, true)
}

// TraceQueryEnd is pgx.QueryTracer.
func (s statements) TraceQueryEnd(ctx context.Context, c *pgx.Conn, d pgx.TraceQueryEndData) {
	if ctx.Value(begun{}) != nil {
		s.next.TraceQueryEnd(ctx, c, d)
	}
}

// provider gives out one tracer.
type provider struct {
	noop.TracerProvider
	tracer trace.Tracer
}

// Tracer is trace.TracerProvider.
func (p provider) Tracer(string, ...trace.TracerOption) trace.Tracer { return p.tracer }
