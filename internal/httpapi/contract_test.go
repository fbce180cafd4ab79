package httpapi_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/tacet-dev/tacet/internal/accounts"
	"github.com/tacet-dev/tacet/internal/doors"
	"github.com/tacet-dev/tacet/internal/encryption"
	"github.com/tacet-dev/tacet/internal/httpapi"
	"github.com/tacet-dev/tacet/internal/idp"
	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/internal/remoteusers"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// Everything that the tests of this package send and receive is held against
// openapi.yaml, at the server (contract.handler):
//
//   - What the document does not allow is not granted.
//   - Every status, header and member of an answer is in the document, and what
//     the document promises is in the answer.

// contract is the document in two readings. Requests may have members that it
// lacks, answers may not.
type contract struct{ requests, answers routers.Router }

var theContract = sync.OnceValues(func() (*contract, error) {
	for _, mediaType := range []string{"application/problem+json", "application/jwk-set+json"} {
		openapi3filter.RegisterBodyDecoder(mediaType, openapi3filter.JSONBodyDecoder)
	}
	for _, mediaType := range []string{"application/yaml", "text/html"} {
		openapi3filter.RegisterBodyDecoder(mediaType, openapi3filter.PlainBodyDecoder)
	}
	c := &contract{}
	var err error
	if c.requests, err = router(func(*openapi3.Schema) {}); err == nil {
		c.answers, err = router(func(s *openapi3.Schema) {
			if s.Type.Is("object") && s.AdditionalProperties.Has == nil {
				s.AdditionalProperties.Has = new(bool) // false
			}
		})
	}
	return c, err
})

func loadDocument() (*openapi3.T, error) {
	loader := openapi3.NewLoader()
	return loader.LoadFromData([]byte(httpapi.Document()))
}

func router(change func(*openapi3.Schema)) (routers.Router, error) {
	doc, err := loadDocument()
	if err != nil {
		return nil, err
	}
	for _, s := range doc.Components.Schemas {
		change(s.Value)
	}
	return gorillamux.NewRouter(doc)
}

// handler checks what passes through it.
func (c *contract) handler(t testing.TB, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead || r.Method == http.MethodOptions {
			next.ServeHTTP(w, r)
			return
		}
		sent, err := io.ReadAll(r.Body)
		r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(sent), errorReader{err}))
		seen := r.Clone(r.Context())
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(rec, r)
		if err != nil || rec.hijacked {
			return // cut off: there is no whole request to judge
		}
		seen.Body = io.NopCloser(bytes.NewReader(sent))
		if err := c.check(seen, rec); err != nil {
			t.Errorf("openapi.yaml and the server do not agree on %s %s, answered %d: %v", r.Method, r.URL.Path, rec.status, err)
		}
	})
}

type errorReader struct{ err error }

func (e errorReader) Read([]byte) (int, error) {
	if e.err == nil {
		return 0, io.EOF
	}
	return 0, e.err
}

// recorder keeps what is answered, but of streams only how they begin.
type recorder struct {
	http.ResponseWriter
	status   int
	body     bytes.Buffer
	hijacked bool
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	if !r.streams() {
		r.body.Write(p)
	}
	return r.ResponseWriter.Write(p)
}

func (r *recorder) streams() bool {
	return strings.HasPrefix(r.Header().Get("Content-Type"), "text/event-stream")
}

func (c *contract) check(r *http.Request, got *recorder) error {
	route, params, err := c.requests.FindRoute(r)
	if err != nil {
		return c.checkElsewhere(r, got, err)
	}
	if r.Header.Get("Content-Type") == wire.ContentTypeJOSE || r.Header.Get(wire.HeaderSeal) != "" {
		return c.checkEncrypted(r, got)
	}
	options := &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true, MultiError: true}
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route, Options: options}
	// Headers of proxies and browsers that no operation has are no matter of the document.
	if err := openapi3filter.ValidateRequest(r.Context(), in); err != nil && got.status < 300 {
		return fmt.Errorf("the document does not allow the request: %w", err)
	}
	strict, params, err := c.answers.FindRoute(r)
	if err != nil {
		return err
	}
	seenAnswers.Store(strict.Operation.OperationID+" "+fmt.Sprint(got.status), true)
	if err := documentedHeaders(strict.Operation, got); err != nil {
		return err
	}
	if got.streams() || got.status/100 == 3 { // net/http gives redirections a text, or not
		options = &openapi3filter.Options{ExcludeResponseBody: true, IncludeResponseStatus: true}
	}
	in = &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: strict, Options: options}
	return openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: got.status, Header: single(got.Header()), Body: io.NopCloser(bytes.NewReader(got.body.Bytes())), Options: options})
}

// checkEncrypted is check for what can only be judged from outside.
func (c *contract) checkEncrypted(r *http.Request, got *recorder) error {
	route, _, err := c.answers.FindRoute(r)
	if err != nil {
		return err
	}
	if got.status < 300 && got.Header().Get("Content-Type") != wire.ContentTypeJOSE && got.Header().Get(wire.HeaderSeal) == "" {
		return errors.New("the answer to an encrypted request is in plain text")
	}
	seenAnswers.Store(route.Operation.OperationID+" "+fmt.Sprint(got.status), true)
	return nil
}

// single leaves one of each header: the validator takes several for a list.
func single(h http.Header) http.Header {
	out := http.Header{}
	for name, values := range h {
		out[name] = values[:1]
	}
	return out
}

// checkElsewhere is for addresses and methods that the document does not have.
func (c *contract) checkElsewhere(r *http.Request, got *recorder, why error) error {
	if strings.HasPrefix(r.URL.Path, "/auth"+wire.PathVerify) {
		return nil // forward-auth answers every method and path there
	}
	var p wire.Problem
	if err := json.Unmarshal(got.body.Bytes(), &p); err != nil {
		return errors.Join(why, err)
	}
	switch {
	case got.status == http.StatusNotFound && p.Code == wire.CodeNotFound:
	case got.status == http.StatusMethodNotAllowed && p.Code == wire.CodeMethodNotAllowed && got.Header().Get("Allow") != "":
	default:
		return why
	}
	return nil
}

// everywhere are the headers that info.description speaks of, or HTTP itself.
var everywhere = []string{"Cache-Control", "Content-Length", "Content-Language", "Content-Type", "Date", "Vary", "X-Content-Type-Options",
	"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Expose-Headers"}

func documentedHeaders(op *openapi3.Operation, got *recorder) error {
	answer := op.Responses.Status(got.status)
	if answer == nil {
		return fmt.Errorf("the document lacks the status %d", got.status)
	}
	known := slices.Clone(everywhere)
	for name := range answer.Value.Headers {
		known = append(known, http.CanonicalHeaderKey(name))
	}
	for name := range got.Header() {
		if !slices.Contains(known, http.CanonicalHeaderKey(name)) {
			return fmt.Errorf("the document lacks the header %s", name)
		}
	}
	if cc := got.Header().Get("Cache-Control"); cc == "" {
		return errors.New("there is no Cache-Control")
	}
	if ct := got.Header().Get("Content-Type"); ct != "" {
		mt, _, err := mime.ParseMediaType(ct)
		if err != nil || answer.Value.Content.Get(mt) == nil {
			return fmt.Errorf("the document lacks the content type %q", ct)
		}
	}
	return nil
}

// seenAnswers holds "operation status" of everything that was answered.
var seenAnswers sync.Map

func TestTheDocumentIsValidOpenAPI(t *testing.T) {
	doc, err := loadDocument()
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Error(err)
	}
}

func TestEveryRouteIsInTheDocument(t *testing.T) {
	doc, err := loadDocument()
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for path, item := range doc.Paths.Map() {
		if len(item.Servers) == 0 {
			path = wire.DefaultBasePath + path
		}
		for method := range item.Operations() {
			documented = append(documented, method+" "+path)
		}
	}
	routes, err := httpapi.RouteNames(httpapi.Config{BasePath: wire.DefaultBasePath, FeedToken: "a secret of the feed", Verifier: new(verify.Verifier)},
		accounts.Wing(&accounts.Accounts{}, nil), oauth.Wing(&oauth.Server{}), doors.Wing(&doors.Doors{}), idp.Wing(&idp.Service{}), encryption.Wing(nil), remoteusers.Wing(nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range routes {
		if !slices.Contains(documented, r) {
			t.Errorf("%s is a route, but openapi.yaml does not describe it", r)
		}
	}
	for _, d := range documented {
		if !slices.Contains(routes, d) && d != "GET "+wire.DefaultBasePath+wire.PathVerify {
			t.Errorf("openapi.yaml describes %s, which is no route", d)
		}
	}
}

// The JSON shapes that package wire pins are those of the document.
func TestTheDocumentHasTheShapesOfWire(t *testing.T) {
	doc, err := loadDocument()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range doc.Components.Schemas {
		if s.Value.Type.Is("object") && s.Value.AdditionalProperties.Has == nil {
			s.Value.AdditionalProperties.Has = new(bool)
		}
	}
	files, err := filepath.Glob("../../wire/testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		schema := doc.Components.Schemas[name]
		if schema == nil {
			t.Errorf("openapi.yaml has no schema %s", name)
			continue
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var golden struct{ Full any }
		if err := json.Unmarshal(raw, &golden); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if err := schema.Value.VisitJSON(golden.Full, openapi3.MultiErrors()); err != nil {
			t.Errorf("%s is not what openapi.yaml says: %v", file, err)
		}
		for member := range schema.Value.Properties {
			if _, ok := golden.Full.(map[string]any)[member]; !ok {
				t.Errorf("openapi.yaml says that %s has the member %s, package wire does not", name, member)
			}
		}
	}
}

func TestTheDocumentIsServed(t *testing.T) {
	h := newHarness(t)
	a := h.call(http.DefaultClient, "GET", "/auth/openapi.yaml", "").want(200)
	if !strings.Contains(string(a.body), `base: {default: "/auth"}`) {
		t.Error("the base path is not the configured one")
	}
}
