package main

import (
	"bytes"
	"errors"
	"net/http"

	"github.com/gofiber/fiber/v3"

	"github.com/tacet-dev/tacet/verify"
)

// require is v.Require for Fiber, which is not built on net/http; without
// permissions it is v.Middleware.
func require(v *verify.Verifier, permissions ...string) fiber.Handler {
	return guard(v, false, permissions)
}

// optional is v.Optional for Fiber.
func optional(v *verify.Verifier) fiber.Handler { return guard(v, true, nil) }

func guard(v *verify.Verifier, anonymous bool, permissions []string) fiber.Handler {
	return func(c fiber.Ctx) error {
		token, err := authenticate(c, v)
		if anonymous && errors.Is(err, verify.ErrNoCredential) {
			return c.Next()
		}
		if err == nil {
			err = verify.Allow(token, permissions...)
		}
		if err != nil {
			return refuse(c, v, err)
		}
		c.SetContext(verify.NewContext(c.Context(), token))
		return c.Next()
	}
}

// tokenOf is the request's token; nil if it is anonymous (optional).
func tokenOf(c fiber.Ctx) *verify.Token {
	token, _ := verify.FromContext(c.Context())
	return token
}

// authenticate is v.Authenticate. All Authorization headers are looked at: two of
// them are an attempt to be seen as one user here and as another elsewhere.
func authenticate(c fiber.Ctx, v *verify.Verifier) (*verify.Token, error) {
	raw, err := verify.Bearer(http.Header{"Authorization": values(c, fiber.HeaderAuthorization)})
	if err != nil {
		return nil, err
	}
	return v.Verify(c.Context(), raw)
}

// values copies a header's values: Fiber uses the memory again for the next
// request.
func values(c fiber.Ctx, name string) []string {
	var all []string
	for _, value := range c.Request().Header.PeekAll(name) {
		all = append(all, string(value))
	}
	return all
}

// refuse is v.WriteError, which of the request only reads Accept-Language.
func refuse(c fiber.Ctx, v *verify.Verifier, err error) error {
	w := &answer{header: http.Header{}}
	v.WriteError(w, &http.Request{Header: http.Header{"Accept-Language": values(c, fiber.HeaderAcceptLanguage)}}, err)
	for name, values := range w.header {
		if name == fiber.HeaderVary { // others may have said something too
			c.Vary(values...)
			continue
		}
		c.Set(name, values[0])
	}
	return c.Status(w.status).Send(w.body.Bytes())
}

// answer takes what WriteError writes.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }
