package main

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/tacet-dev/tacet/verify"
)

// use makes a middleware of net/http one of Gin: v.Middleware, v.Optional or
// v.Require("orders:read"). A request that it does not let through ends there.
func use(middleware func(http.Handler) http.Handler) gin.HandlerFunc {
	return func(c *gin.Context) {
		passed := false
		middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			passed = true
			c.Request = r // with the token in its context
			c.Next()
		})).ServeHTTP(c.Writer, c.Request)
		if !passed {
			c.Abort()
		}
	}
}

// tokenOf is the request's token; nil if it is anonymous (v.Optional).
func tokenOf(c *gin.Context) *verify.Token {
	token, _ := verify.FromContext(c.Request.Context())
	return token
}
