// Package telemetry is what a running server tells about itself: metrics for
// Prometheus and spans for OpenTelemetry. It knows no domain; the composition
// tells it what happens (package app), and docs/operate.md says what to make of
// it.
//
// Labels have few values, all known at the start: no user, session, address or
// path of a request is ever one, and no span carries a query, a header or a
// token.
package telemetry
