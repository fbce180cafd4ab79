// Command echo is an API on Echo; adapter.go is what it takes.
package main

import (
	"net"
	"net/http"

	"github.com/labstack/echo/v5"

	"github.com/tacet-dev/tacet/examples/internal/resource"
	"github.com/tacet-dev/tacet/examples/internal/shop"
	"github.com/tacet-dev/tacet/verify"
)

func main() { resource.Main(serve) }

func serve(ln net.Listener, v *verify.Verifier) error { return resource.Serve(ln, routes(v)) }

func routes(v *verify.Verifier) http.Handler {
	a := &api{}
	e := echo.New()
	e.GET("/", a.hello, echo.WrapMiddleware(v.Optional))
	signedIn := e.Group("", echo.WrapMiddleware(v.Middleware)) // all of these need a token
	signedIn.GET("/me", a.me)
	signedIn.GET("/orders", a.orders, require(v, "orders:read"))
	signedIn.POST("/orders", a.order, require(v, "orders:write"))
	e.Group("/admin", require(v, "admin:read")).GET("/orders", a.all)
	return e
}

type api struct{ shop shop.Shop }

// hello is for everybody: there may be no token.
func (a *api) hello(c *echo.Context) error {
	who := "stranger"
	if token := tokenOf(c); token != nil {
		who = token.Subject()
	}
	return c.JSON(http.StatusOK, map[string]string{"hello": who})
}

func (a *api) me(c *echo.Context) error {
	return c.JSON(http.StatusOK, map[string]any{"subject": tokenOf(c).Subject(), "permissions": tokenOf(c).Permissions()})
}

func (a *api) orders(c *echo.Context) error {
	return c.JSON(http.StatusOK, a.shop.Orders(tokenOf(c).Subject()))
}

func (a *api) order(c *echo.Context) error {
	var in struct {
		Item string `json:"item"`
	}
	if err := c.Bind(&in); err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, a.shop.Place(tokenOf(c).Subject(), in.Item))
}

func (a *api) all(c *echo.Context) error { return c.JSON(http.StatusOK, a.shop.Orders("")) }
