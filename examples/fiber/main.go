// Command fiber is an API on Fiber; adapter.go is what it takes.
package main

import (
	"net"
	"net/http"

	"github.com/gofiber/fiber/v3"

	"github.com/tacet-dev/tacet/examples/internal/resource"
	"github.com/tacet-dev/tacet/examples/internal/shop"
	"github.com/tacet-dev/tacet/verify"
)

func main() { resource.Main(serve) }

func serve(ln net.Listener, v *verify.Verifier) error {
	return routes(v).Listener(ln, fiber.ListenConfig{DisableStartupMessage: true})
}

func routes(v *verify.Verifier) *fiber.App {
	a := &api{}
	app := fiber.New()
	app.Get("/", optional(v), a.hello)
	app.Get("/me", require(v), a.me)
	app.Get("/orders", require(v, "orders:read"), a.orders)
	app.Post("/orders", require(v, "orders:write"), a.order)
	app.Group("/admin", require(v, "admin:read")).Get("/orders", a.all)
	return app
}

type api struct{ shop shop.Shop }

// hello is for everybody: there may be no token.
func (a *api) hello(c fiber.Ctx) error {
	who := "stranger"
	if token := tokenOf(c); token != nil {
		who = token.Subject()
	}
	return c.JSON(fiber.Map{"hello": who})
}

func (a *api) me(c fiber.Ctx) error {
	return c.JSON(fiber.Map{"subject": tokenOf(c).Subject(), "permissions": tokenOf(c).Permissions()})
}

func (a *api) orders(c fiber.Ctx) error { return c.JSON(a.shop.Orders(tokenOf(c).Subject())) }

func (a *api) order(c fiber.Ctx) error {
	var in struct {
		Item string `json:"item"`
	}
	if err := c.Bind().JSON(&in); err != nil {
		return err
	}
	return c.Status(http.StatusCreated).JSON(a.shop.Place(tokenOf(c).Subject(), in.Item))
}

func (a *api) all(c fiber.Ctx) error { return c.JSON(a.shop.Orders("")) }
