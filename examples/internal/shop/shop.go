// Package shop is what the APIs of the examples are about: orders, in memory.
// It knows nothing of tokens.
package shop

import (
	"slices"
	"sync"
)

// Order is one order.
type Order struct {
	ID   int    `json:"id"`
	Item string `json:"item"`
	By   string `json:"by"` // the user's id
}

// Shop keeps orders. It is safe for concurrent use.
type Shop struct {
	mu     sync.Mutex
	orders []Order
}

// Place adds an order.
func (s *Shop) Place(by, item string) Order {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := Order{len(s.orders) + 1, item, by}
	s.orders = append(s.orders, o)
	return o
}

// Orders are those of one user or, if by is empty, all.
func (s *Shop) Orders(by string) []Order {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.Clone(s.orders)
	if by != "" {
		list = slices.DeleteFunc(list, func(o Order) bool { return o.By != by })
	}
	return append([]Order{}, list...) // [] in JSON, not null
}
