package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace"
)

// exporter sends spans by OTLP over HTTP in JSON (OTLP 1.x, "Binary and JSON
// Protobuf Encoding"). The exporter of the OpenTelemetry project says the same in
// protobuf, and adds a third to the size of the program.
type exporter struct {
	url    string
	header http.Header
	client *http.Client
}

type (
	otlpRequest struct {
		ResourceSpans []otlpResourceSpans `json:"resourceSpans"`
	}
	otlpResourceSpans struct {
		Resource   otlpResource     `json:"resource"`
		ScopeSpans []otlpScopeSpans `json:"scopeSpans"`
	}
	otlpResource struct {
		Attributes []otlpAttribute `json:"attributes"`
	}
	otlpScopeSpans struct {
		Scope otlpScope  `json:"scope"`
		Spans []otlpSpan `json:"spans"`
	}
	otlpScope struct {
		Name string `json:"name"`
	}
	otlpSpan struct {
		TraceID    string          `json:"traceId"`
		SpanID     string          `json:"spanId"`
		ParentID   string          `json:"parentSpanId,omitempty"`
		Name       string          `json:"name"`
		Kind       int             `json:"kind"`
		Start      string          `json:"startTimeUnixNano"`
		End        string          `json:"endTimeUnixNano"`
		Attributes []otlpAttribute `json:"attributes,omitempty"`
		Status     otlpStatus      `json:"status"`
	}
	otlpStatus struct {
		Code    int    `json:"code,omitempty"`
		Message string `json:"message,omitempty"`
	}
	otlpAttribute struct {
		Key   string         `json:"key"`
		Value map[string]any `json:"value"`
	}
)

// ExportSpans is trace.SpanExporter. What cannot be sent is lost: spans are not
// worth the memory that waiting for a collector would take.
func (e *exporter) ExportSpans(ctx context.Context, spans []trace.ReadOnlySpan) error {
	if len(spans) == 0 {
		return nil
	}
	body, err := json.Marshal(otlpOf(spans))
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header = e.header.Clone()
	req.Header.Set("Content-Type", "application/json")
	resp, err := e.client.Do(req)
	if err != nil {
		return fmt.Errorf("%d spans could not be sent: %w", len(spans), err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16)) // so that the connection can be used again
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%d spans were not taken by %s: status %d", len(spans), e.url, resp.StatusCode)
	}
	return nil
}

// Shutdown is trace.SpanExporter.
func (e *exporter) Shutdown(context.Context) error { return nil }

func otlpOf(spans []trace.ReadOnlySpan) otlpRequest {
	scopes, order := map[string][]otlpSpan{}, []string{}
	for _, s := range spans {
		name := s.InstrumentationScope().Name
		if _, ok := scopes[name]; !ok {
			order = append(order, name)
		}
		scopes[name] = append(scopes[name], otlpSpanOf(s))
	}
	all := otlpResourceSpans{Resource: otlpResource{otlpAttributes(spans[0].Resource().Attributes())}}
	for _, name := range order {
		all.ScopeSpans = append(all.ScopeSpans, otlpScopeSpans{otlpScope{name}, scopes[name]})
	}
	return otlpRequest{[]otlpResourceSpans{all}}
}

func otlpSpanOf(s trace.ReadOnlySpan) otlpSpan {
	c := s.SpanContext()
	o := otlpSpan{TraceID: c.TraceID().String(), SpanID: c.SpanID().String(), Name: s.Name(),
		Kind: int(s.SpanKind()), Start: nanos(s.StartTime()), End: nanos(s.EndTime()), Attributes: otlpAttributes(s.Attributes())}
	if s.Parent().SpanID().IsValid() {
		o.ParentID = s.Parent().SpanID().String()
	}
	switch st := s.Status(); st.Code {
	case codes.Ok:
		o.Status.Code = 1
	case codes.Error:
		o.Status = otlpStatus{2, st.Description}
	}
	return o
}

func nanos(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

// otlpAttributes has the kinds of values that there are in our spans and in
// resources; others come as text.
func otlpAttributes(list []attribute.KeyValue) []otlpAttribute {
	out := make([]otlpAttribute, 0, len(list))
	for _, kv := range list {
		var v map[string]any
		switch kv.Value.Type() {
		case attribute.BOOL:
			v = map[string]any{"boolValue": kv.Value.AsBool()}
		case attribute.INT64:
			v = map[string]any{"intValue": strconv.FormatInt(kv.Value.AsInt64(), 10)}
		case attribute.FLOAT64:
			v = map[string]any{"doubleValue": kv.Value.AsFloat64()}
		default:
			v = map[string]any{"stringValue": kv.Value.Emit()}
		}
		out = append(out, otlpAttribute{string(kv.Key), v})
	}
	return out
}
