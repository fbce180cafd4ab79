package oauth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/internal/httpapi/form"

	"github.com/tacet-dev/tacet/internal/session"
)

// Device is what a device shows its user (RFC 8628 §3.2).
type Device struct {
	DeviceCode string
	UserCode   string // like BDFG-HJKL
	ExpiresIn  time.Duration
	Interval   time.Duration
}

const (
	// userAlphabet has no vowels, so no words, and nothing that looks alike;
	// 8 of its 20 letters are 34 bits (RFC 8628 §6.1).
	userAlphabet   = "BCDFGHJKLMNPQRSTVWXZ"
	userCodeLength = 8
	// tooSoon is what a poll may come early: clients wait exactly as long as they
	// are told, and the network does not.
	tooSoon = time.Second
)

// ErrUserCode is for a code that a user typed and no device shows.
var ErrUserCode = errors.New("oauth: no device waits with this code")

// StartDevice answers a device authorization request (RFC 8628 §3.1). client is
// nil if the request names none. Anybody can ask, and each request is a row in
// the store for as long as it lives: a *session.Throttled is for an address that
// asks too often.
func (s *Server) StartDevice(ctx context.Context, client *Client, p form.Params, c session.Contact) (Device, error) {
	if client == nil {
		return Device{}, form.Refuse(form.CodeInvalidRequest, "the parameter client_id is missing")
	}
	if !client.Device {
		return Device{}, form.Refuse(form.CodeUnauthorizedClient, "the client is not registered for the device grant")
	}
	scope, err := client.scope(p["scope"])
	if err != nil {
		return Device{}, err
	}
	resource := p[form.Resource]
	if _, err := s.audience(*client, resource); err != nil {
		return Device{}, err
	}
	if s.DeviceStarts != nil {
		wait, ok := s.DeviceStarts.Allow("", c.Address)
		if !ok {
			return Device{}, &session.Throttled{RetryAfter: wait}
		}
		s.DeviceStarts.Failed("", c.Address) // nothing tells a good start from a bad one: each counts
	}
	now := s.now()
	for range 5 { // a user code may be taken
		d := Device{DeviceCode: s.random(), UserCode: s.userCode(), ExpiresIn: DeviceLifetime, Interval: DeviceInterval}
		err := s.Store.AddFlow(ctx, Flow{
			Key: KeyOf(d.DeviceCode), UserCode: normalUserCode(d.UserCode), ClientID: client.ID, Scope: scope, Resource: resource,
			ExpiresAt: now.Add(DeviceLifetime), Interval: DeviceInterval,
		})
		if errors.Is(err, ErrExists) {
			continue
		}
		return d, settle(err)
	}
	return Device{}, fmt.Errorf("%w: no free user code was found", session.ErrUnavailable)
}

func (s *Server) userCode() string {
	var b strings.Builder
	for b.Len() < userCodeLength {
		for _, r := range []byte(s.random()) { // base64url: 0-9 A-Z a-z - _
			if i := strings.IndexByte(userAlphabet, r); i >= 0 && b.Len() < userCodeLength {
				b.WriteByte(userAlphabet[i]) // each letter is as likely as the others
			}
		}
	}
	return b.String()[:4] + "-" + b.String()[4:]
}

// ShownUserCode is a code as the device shows it, however the user typed it.
func ShownUserCode(typed string) string {
	code := normalUserCode(typed)
	if len(code) != userCodeLength {
		return typed
	}
	return code[:4] + "-" + code[4:]
}

// normalUserCode is what a user meant (RFC 8628 §6.1).
func normalUserCode(typed string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(userAlphabet, r) {
			return r
		}
		return -1
	}, strings.ToUpper(typed))
}

// Waiting returns the client of the device that waits with this code. The error
// is ErrUserCode, a *session.Throttled (codes are guessed as passwords are,
// RFC 8628 §5.1), or an outage.
func (s *Server) Waiting(ctx context.Context, userCode string, c session.Contact) (Client, error) {
	f, err := s.waiting(ctx, userCode, c)
	if err != nil {
		return Client{}, err
	}
	client, err := s.client(ctx, f.ClientID)
	if errors.Is(err, ErrNotFound) {
		return Client{}, ErrUserCode
	}
	return client, settle(err)
}

func (s *Server) waiting(ctx context.Context, userCode string, c session.Contact) (Flow, error) {
	code := normalUserCode(userCode)
	throttle, attempt := s.Throttle, "device code "+code
	if wait, ok := throttle.Allow(attempt, c.Address); !ok {
		return Flow{}, &session.Throttled{RetryAfter: wait}
	}
	f, err := Flow{}, ErrNotFound
	if len(code) == userCodeLength && len(userCode) <= 4*userCodeLength {
		f, err = s.Store.FlowByUserCode(ctx, code)
	}
	switch {
	case errors.Is(err, ErrNotFound), err == nil && (f.UserID != "" || f.Denied || !f.ExpiresAt.After(s.now())):
		throttle.Failed(attempt, c.Address)
		return Flow{}, ErrUserCode
	case err != nil:
		throttle.Released(attempt, c.Address)
		return Flow{}, settle(err)
	}
	throttle.Released(attempt, c.Address)
	return f, nil
}

// Approve lets the device that waits with this code act for the user who has
// this name and password. The errors are those of Waiting and of
// session.Service.Authenticate.
func (s *Server) Approve(ctx context.Context, userCode, username, password string, c session.Contact) error {
	f, err := s.waiting(ctx, userCode, c)
	if err != nil {
		return err
	}
	who, err := s.Sessions.Authenticate(ctx, username, password, c)
	if err != nil {
		return err
	}
	return s.approve(ctx, f, who, session.Origin{})
}

// ApproveFor is Approve for a user whom a provider has vouched for.
func (s *Server) ApproveFor(ctx context.Context, userCode string, who session.Identity, o session.Origin, c session.Contact) error {
	f, err := s.waiting(ctx, userCode, c)
	if err != nil {
		return err
	}
	return s.approve(ctx, f, who, o)
}

func (s *Server) approve(ctx context.Context, f Flow, who session.Identity, o session.Origin) error {
	now := s.now()
	return s.settleDevice(ctx, f, func(f *Flow) { f.UserID, f.Credentials, f.Origin, f.SignedInAt = who.UserID, who.Credentials, o, now })
}

// Refuse tells the device that waits with this code that its user refused.
func (s *Server) Refuse(ctx context.Context, userCode string, c session.Contact) error {
	f, err := s.waiting(ctx, userCode, c)
	if err != nil {
		return err
	}
	return s.settleDevice(ctx, f, func(f *Flow) { f.Denied = true })
}

func (s *Server) settleDevice(ctx context.Context, f Flow, decide func(*Flow)) error {
	err := s.Store.UpdateFlow(ctx, f.Key, func(f *Flow) error {
		if f.UserID != "" || f.Denied { // somebody was quicker
			return ErrUserCode
		}
		decide(f)
		return nil
	})
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrUserCode) {
		return ErrUserCode
	}
	return settle(err)
}

// poll is RFC 8628 §3.4 and §3.5.
func (s *Server) poll(ctx context.Context, client Client, p form.Params, c session.Contact, b session.Binding) (Answer, error) {
	code, err := p.Need("device_code")
	if err != nil {
		return Answer{}, err
	}
	ready, err := s.polled(ctx, client, KeyOf(code))
	if err != nil || !ready {
		return Answer{}, err
	}
	return s.redeem(ctx, KeyOf(code), client, p[form.Resource], c, b, func(f *Flow) error {
		if f.UserID == "" {
			return form.Refuse(form.CodeAuthorizationPending, "the user has not signed in yet")
		}
		return nil
	})
}

// polled notes a poll and reports whether the user has signed in; if not, the
// error says what the device is to do.
func (s *Server) polled(ctx context.Context, client Client, k Key) (ready bool, err error) {
	var refused error
	now := s.now()
	err = s.Store.UpdateFlow(ctx, k, func(f *Flow) error {
		ready, refused = false, nil
		switch {
		case f.UserCode == "" || f.ClientID != client.ID:
			return form.Refuse(form.CodeInvalidGrant, "the device code is not one that was issued to this client")
		case !f.Used && !f.ExpiresAt.After(now):
			return form.Refuse(form.CodeExpiredToken, "the device code has expired: ask for a new one")
		case f.Denied:
			return form.Refuse(form.CodeAccessDenied, "the user refused")
		case f.UserID != "":
			ready = true
			return nil
		case !f.PolledAt.IsZero() && now.Sub(f.PolledAt) < f.Interval-tooSoon:
			f.Interval += DeviceInterval
			refused = form.Refuse(form.CodeSlowDown, fmt.Sprintf("wait %d seconds between polls from now on", int(f.Interval.Seconds())))
		default:
			refused = form.Refuse(form.CodeAuthorizationPending, "the user has not signed in yet")
		}
		f.PolledAt = now
		return nil
	})
	if errors.Is(err, ErrNotFound) {
		err = form.Refuse(form.CodeInvalidGrant, "the device code is not one of this server")
	}
	if err != nil {
		return false, settle(err)
	}
	return ready, refused
}
