// Command gin is an API on Gin; adapter.go is what it takes.
package main

import (
	"net"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/tacet-dev/tacet/examples/internal/resource"
	"github.com/tacet-dev/tacet/examples/internal/shop"
	"github.com/tacet-dev/tacet/verify"
)

func main() { resource.Main(serve) }

func serve(ln net.Listener, v *verify.Verifier) error { return resource.Serve(ln, routes(v)) }

func routes(v *verify.Verifier) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	a := &api{}
	r := gin.New()
	r.Use(gin.Recovery())
	r.GET("/", use(v.Optional), a.hello)
	signedIn := r.Group("/", use(v.Middleware)) // all of these need a token
	signedIn.GET("/me", a.me)
	signedIn.GET("/orders", use(v.Require("orders:read")), a.orders)
	signedIn.POST("/orders", use(v.Require("orders:write")), a.order)
	r.Group("/admin", use(v.Require("admin:read"))).GET("/orders", a.all)
	return r
}

type api struct{ shop shop.Shop }

// hello is for everybody: there may be no token.
func (a *api) hello(c *gin.Context) {
	who := "stranger"
	if token := tokenOf(c); token != nil {
		who = token.Subject()
	}
	c.JSON(http.StatusOK, gin.H{"hello": who})
}

func (a *api) me(c *gin.Context) {
	c.JSON(http.StatusOK, gin.H{"subject": tokenOf(c).Subject(), "permissions": tokenOf(c).Permissions()})
}

func (a *api) orders(c *gin.Context) {
	c.JSON(http.StatusOK, a.shop.Orders(tokenOf(c).Subject()))
}

func (a *api) order(c *gin.Context) {
	var in struct {
		Item string `json:"item"`
	}
	if err := c.ShouldBindJSON(&in); err != nil {
		c.String(http.StatusBadRequest, "%v", err)
		return
	}
	c.JSON(http.StatusCreated, a.shop.Place(tokenOf(c).Subject(), in.Item))
}

func (a *api) all(c *gin.Context) { c.JSON(http.StatusOK, a.shop.Orders("")) }
