// Package bounded stands between the domains and their stores: it bounds how much
// work a store is given at once ([gate.Gate]) and for how long a call waits for
// it, and tells how the calls went. It changes nothing of what they mean; a call
// that is turned away fails like one to a store that cannot be reached.
package bounded

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/gate"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

// Timeout bounds calls that somebody waits for, on stores that would not give up
// by themselves. Changes of roles and sweeping, which may be long, have no bound.
const Timeout = 10 * time.Second

// Config is how the calls are bounded and who is told. All fields but Tracer are
// required.
type Config struct {
	// Renewals is before the one write of a renewal, Others before all other
	// calls but those for keys and events: a store whose reads are slow must not
	// stop renewals, and neither may stop a server from hearing what happened.
	Renewals, Others *gate.Gate
	// Failure names the kind of a failure of the store, and is empty for errors
	// that are responses, such as "not found". Kinds are few.
	Failure func(error) string
	// Observe is told how long a call took and how it failed, if so. It is asked
	// once per operation, like "sessions.move".
	Observe func(operation string) func(took time.Duration, failure string)
	// Ended is told of every session that was ended, Swept how many
	// rows were deleted.
	Ended func(rotation.SessionID, session.End, []events.Event)
	Swept func(sessions int)
	// Tracer makes spans of calls for requests that are traced. Nil: none.
	Tracer trace.Tracer
}

// operation is one call of a store.
type operation struct {
	*Config
	name    string
	gate    *gate.Gate // nil: not bounded
	timeout time.Duration
	observe func(time.Duration, string)
}

func (c *Config) operation(name string, g *gate.Gate, timeout time.Duration) *operation {
	return &operation{c, name, g, timeout, c.Observe(name)}
}

// brief is an operation that a request waits for.
func (c *Config) brief(name string) *operation { return c.operation(name, c.Others, Timeout) }

// do makes a call.
func do[T any](ctx context.Context, o *operation, f func(context.Context) (T, error)) (v T, err error) {
	if o.gate != nil {
		if err := o.gate.Enter(ctx); err != nil {
			return v, fmt.Errorf("%w: %w", session.ErrUnavailable, err)
		}
		defer o.gate.Leave()
	}
	if o.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.timeout)
		defer cancel()
	}
	var span trace.Span
	if o.Tracer != nil && trace.SpanFromContext(ctx).IsRecording() {
		ctx, span = o.Tracer.Start(ctx, "store "+o.name)
		defer span.End()
	}
	began := time.Now()
	v, err = f(ctx)
	failure := ""
	if err != nil {
		failure = o.Failure(err)
	}
	o.observe(time.Since(began), failure)
	if span != nil && failure != "" {
		span.SetStatus(codes.Error, failure)
	}
	return v, err
}

// run is do for calls that return an error only.
func run(ctx context.Context, o *operation, f func(context.Context) error) error {
	_, err := do(ctx, o, func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) })
	return err
}
