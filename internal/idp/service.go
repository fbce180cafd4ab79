package idp

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/session"
)

// Config is what a Service needs. All fields but Transport are required.
type Config struct {
	Providers []Settings // checked; ids are unique
	// Callback is the address to which the provider with this id sends browsers
	// back. Each has its own (RFC 9700 §4.4.2.2).
	Callback func(id string) string
	Users    Users
	Sessions *session.Service
	Sealer   Sealer
	// Transport makes the calls to providers [http.DefaultTransport].
	Transport http.RoundTripper
	Clock     func() time.Time
	Rand      io.Reader
	Logger    *slog.Logger
}

// Users takes people in. The error is ErrDisabled, or an outage.
type Users interface {
	Receive(ctx context.Context, p directory.Person) (directory.User, error)
}

// Sealer seals what is left with browsers (keys.Ring).
type Sealer interface {
	SealLabelled(label string, plain []byte) string
	OpenLabelled(ctx context.Context, label, sealed string) (plain []byte, ok bool)
}

// Service is safe for concurrent use.
type Service struct {
	Config
	providers []*Provider
}

// New returns a Service.
func New(cfg Config) *Service {
	s := &Service{Config: cfg}
	for _, p := range cfg.Providers {
		s.providers = append(s.providers, newProvider(p, cfg.Transport, cfg.Clock, cfg.Callback(p.ID)))
	}
	return s
}

// Providers are all providers in the order of the configuration.
func (s *Service) Providers() []*Provider {
	if s == nil {
		return nil
	}
	return s.providers
}

func (s *Service) provider(id string) (*Provider, error) {
	for _, p := range s.providers {
		if p.ID == id {
			return p, nil
		}
	}
	return nil, ErrUnknown
}

func (s *Service) random(n int) []byte {
	b := make([]byte, n)
	if _, err := io.ReadFull(s.Rand, b); err != nil {
		panic(fmt.Sprintf("idp: random source failed: %v", err)) // crypto/rand never fails
	}
	return b
}
