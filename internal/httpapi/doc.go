// Package httpapi translates HTTP to the domain and back: parse, call, write.
// One file per endpoint, one route table (routes.go), one error table
// (problem.go). It decides nothing about sessions.
package httpapi
