package main

import (
	"github.com/labstack/echo/v5"

	"github.com/tacet-dev/tacet/verify"
)

// require is v.Require for Echo. Echo takes every middleware of net/http:
// echo.WrapMiddleware(v.Middleware) and echo.WrapMiddleware(v.Optional) are the
// other two.
func require(v *verify.Verifier, permissions ...string) echo.MiddlewareFunc {
	return echo.WrapMiddleware(v.Require(permissions...))
}

// tokenOf is the request's token; nil if it is anonymous (v.Optional).
func tokenOf(c *echo.Context) *verify.Token {
	token, _ := verify.FromContext(c.Request().Context())
	return token
}
