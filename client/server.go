package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/wire"
)

// maxResponse is how much of an auth server's response is read, in bytes.
const maxResponse = 1 << 20

// server is the auth server's native surface (wire.md §1) with tokens in bodies.
type server struct {
	base string // without a slash at the end
	http *http.Client
}

func newServer(base string, insecure bool, rt http.RoundTripper) (*server, error) {
	u, err := url.Parse(base)
	switch {
	case base == "":
		return nil, errors.New(`client: Config.URL is empty; set it to the auth server's base URL, such as "https://example.com/auth"`)
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return nil, fmt.Errorf(`client: Config.URL %q is no http(s) URL; it should look like "https://example.com/auth"`, redactURL(u, base))
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("client: Config.URL must have no user, query or fragment")
	case u.Scheme == "http" && !insecure && !isLoopback(u.Hostname()):
		return nil, fmt.Errorf("client: Config.URL %q would send passwords and tokens unencrypted; use https, or set Config.InsecureHTTP", base)
	}
	return &server{
		base: strings.TrimRight(base, "/"),
		http: &http.Client{
			Transport: rt,
			// A redirect would carry a password or a refresh token to another
			// place; it is a response like any other that is not expected.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

func redactURL(u *url.URL, raw string) string {
	if u == nil {
		return "(unreadable)"
	}
	if u.User != nil {
		return u.Redacted()
	}
	return raw
}

func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// response is what came back: a status and, for a 200, the tokens.
type response struct {
	status     int
	retryAfter time.Duration
	tokens     wire.TokenResponse
	problem    *ProblemError // for any other status
}

// post makes one call. An error means that there was no response that can be
// understood.
func (s *server) post(ctx context.Context, path string, body any) (response, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return response{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+path, bytes.NewReader(b))
	if err != nil {
		return response{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, "+wire.ContentTypeProblem)
	res, err := s.http.Do(req)
	if err != nil {
		return response{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxResponse+1))
	if err != nil {
		return response{}, fmt.Errorf("the response broke off: %w", err)
	}
	return parseResponse(res.StatusCode, res.Header, text, time.Now())
}

// parseResponse understands the responses to login, refresh, confirm and logout.
func parseResponse(status int, h http.Header, body []byte, now time.Time) (response, error) {
	a := response{status: status, retryAfter: retryAfter(h, now)}
	switch {
	case len(body) > maxResponse:
		return a, fmt.Errorf("the response (%d) is longer than %d bytes", status, maxResponse)
	case status == http.StatusNoContent:
		return a, nil
	case status != http.StatusOK:
		a.problem = parseProblem(status, h, body)
		return a, nil
	}
	if err := json.Unmarshal(body, &a.tokens); err != nil {
		return a, errors.New("the response (200) is not the auth server's: no valid JSON; is Config.URL right, or is a proxy or sign-in page in between?")
	}
	t := &a.tokens
	switch {
	case !strings.EqualFold(t.TokenType, "Bearer"):
		return a, errors.New("the response (200) is not the auth server's: token_type is not Bearer")
	case !isB64Token(t.AccessToken):
		return a, errors.New("the response (200) is not the auth server's: no usable access_token")
	case t.ExpiresIn <= 0:
		return a, errors.New("the response (200) is not the auth server's: expires_in is not positive")
	}
	return a, nil
}

// parseProblem never fails: a response that is no problem+json (a proxy's, say)
// has a status and no code.
func parseProblem(status int, h http.Header, body []byte) *ProblemError {
	p := &ProblemError{Status: status}
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || kind != wire.ContentTypeProblem {
		p.Title = http.StatusText(status)
		return p
	}
	var w wire.Problem
	if json.Unmarshal(body, &w) != nil {
		p.Title = http.StatusText(status)
		return p
	}
	p.Code, p.Title, p.Detail = printable(w.Code), printable(w.Title), printable(w.Detail)
	return p
}

// retryAfter reads Retry-After (RFC 9110 §10.2.3): seconds, or a date, which is
// taken relative to the response's own Date so that no clocks are compared.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0
	}
	if n, err := strconv.ParseUint(v, 10, 63); err == nil {
		return time.Duration(min(n, uint64(maxLifetime))) * time.Second
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return max(0, at.Sub(now))
}
