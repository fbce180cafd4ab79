package client_test

import (
	"net/http"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/tacet-dev/tacet/client"
)

// okBase answers at once, so that what is measured is the transport around it.
type okBase struct{ res *http.Response }

func (b okBase) RoundTrip(*http.Request) (*http.Response, error) { return b.res, nil }

func newOKBase() okBase { return okBase{&http.Response{StatusCode: 200, Body: http.NoBody}} }

// benchRequest has the headers of an ordinary API call.
func benchRequest(b *testing.B) *http.Request {
	req, err := http.NewRequest("GET", "https://api.test/orders?page=2", nil)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Accept-Language", "en")
	req.Header.Set("User-Agent", "bench")
	return req
}

func benchTransport(b *testing.B, rt http.RoundTripper) {
	req := benchRequest(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rt.RoundTrip(req); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTransport is the overhead on a request while the token is fresh,
// beside its reference: oauth2.Transport as oauth2.NewClient builds it.
func BenchmarkTransport(b *testing.B) {
	b.Run("client", func(b *testing.B) {
		w := newWorld(b, nil).signIn()
		tr, err := client.NewTransport(w.source, newOKBase(), apiURL)
		must(b, err)
		benchTransport(b, tr)
	})
	b.Run("oauth2", func(b *testing.B) {
		tok := &oauth2.Token{AccessToken: newWorld(b, nil).signIn().token().AccessToken, TokenType: "Bearer", Expiry: time.Now().Add(time.Hour)}
		benchTransport(b, &oauth2.Transport{
			Source: oauth2.ReuseTokenSource(tok, oauth2.StaticTokenSource(tok)),
			Base:   newOKBase(),
		})
	})
}

// BenchmarkToken is the fresh-token path alone, beside its reference.
func BenchmarkToken(b *testing.B) {
	b.Run("client", func(b *testing.B) {
		w := newWorld(b, nil).signIn()
		ctx := b.Context()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := w.source.Token(ctx); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("oauth2", func(b *testing.B) {
		tok := &oauth2.Token{AccessToken: "x", Expiry: time.Now().Add(time.Hour)}
		ts := oauth2.ReuseTokenSource(tok, oauth2.StaticTokenSource(tok))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := ts.Token(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkTransportRatio runs both in turns, a hundred requests each, so that
// noise meets both alike: "of-oauth2" is our time over theirs (target: 0.8).
func BenchmarkTransportRatio(b *testing.B) {
	w := newWorld(b, nil).signIn()
	ours, err := client.NewTransport(w.source, newOKBase(), apiURL)
	must(b, err)
	tok := &oauth2.Token{AccessToken: w.token().AccessToken, TokenType: "Bearer", Expiry: time.Now().Add(time.Hour)}
	theirs := &oauth2.Transport{Source: oauth2.ReuseTokenSource(tok, oauth2.StaticTokenSource(tok)), Base: newOKBase()}
	req := benchRequest(b)
	hundred := func(rt http.RoundTripper) time.Duration {
		start := time.Now()
		for range 100 {
			if _, err := rt.RoundTrip(req); err != nil {
				b.Fatal(err)
			}
		}
		return time.Since(start)
	}
	var a, o time.Duration
	for b.Loop() {
		a += hundred(ours)
		o += hundred(theirs)
	}
	b.ReportMetric(float64(a)/float64(o), "of-oauth2")
}

// BenchmarkRenewal is one renewal with the real rotation package behind it and
// no network: what the client itself costs once per access lifetime.
func BenchmarkRenewal(b *testing.B) {
	w := newWorld(b, nil).signIn()
	tok := w.token()
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if tok, err = w.source.Renew(b.Context(), tok); err != nil {
			b.Fatal(err)
		}
	}
}
