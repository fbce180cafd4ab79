package httpapi

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// csrfTokens makes and checks the readable token that must come back in a
// header: "<generation>.<nonce, key id, MAC in base64url>", signed and bound to
// the session. The generation is there for scripts to compare; any token of the
// session is accepted, because a page may hold the one before the last.
type csrfTokens struct{ keys Keys }

const (
	csrfLabel   = "tacet csrf v1"
	csrfNonce   = 8
	csrfMAC     = 16 // bytes of the MAC that are kept
	csrfRawLen  = csrfNonce + 4 + csrfMAC
	csrfMaxText = 64
)

func (c csrfTokens) mint(id rotation.SessionID, generation uint32) string {
	var raw [csrfRawLen]byte
	_, _ = rand.Read(raw[:csrfNonce]) // never fails (crypto/rand)
	gen := strconv.FormatUint(uint64(generation), 10)
	kid, sum := c.keys.SignLabelled(csrfLabel, csrfMessage(id, gen, raw[:csrfNonce]))
	binary.BigEndian.PutUint32(raw[csrfNonce:], kid)
	copy(raw[csrfNonce+4:], sum[:csrfMAC])
	return gen + "." + base64.RawURLEncoding.EncodeToString(raw[:])
}

func (c csrfTokens) valid(id rotation.SessionID, token string) bool {
	gen, text, ok := strings.Cut(token, ".")
	if !ok || len(token) > csrfMaxText {
		return false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != csrfRawLen {
		return false
	}
	kid := binary.BigEndian.Uint32(raw[csrfNonce:])
	return c.keys.VerifyLabelled(csrfLabel, kid, csrfMessage(id, gen, raw[:csrfNonce]), raw[csrfNonce+4:])
}

func csrfMessage(id rotation.SessionID, gen string, nonce []byte) []byte {
	msg := make([]byte, 0, len(id)+len(gen)+1+len(nonce))
	msg = append(msg, id[:]...)
	msg = append(msg, nonce...)
	return append(msg, gen...)
}

// SameOrigin refuses requests that a foreign page made the browser send.
func (a *API) SameOrigin(r *http.Request) error {
	if a.origins.Check(r) != nil {
		return errForeignOrigin
	}
	return nil
}

// FromHere reports whether a navigation begins at a page of this server, or with
// the user: at the address bar, or from a bookmark (Fetch Metadata). Browsers before
// 2023, and all without TLS, do not say; then the page that leads here counts (RFC 9110
// §10.1.3), also one of an origin that is configured, and who names none is believed.
func (a *API) FromHere(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none":
		return true
	case "":
		from, err := url.Parse(r.Referer())
		if err != nil {
			return false
		}
		origin := from.Scheme + "://" + from.Host
		return r.Referer() == "" || origin == a.PublicOrigin || slices.Contains(a.CORSOrigins, origin)
	}
	return false
}

// tokenOfPage guards a state-changing call that a cookie authenticates: of the
// refresh tokens in the request it returns the one that the CSRF token belongs to.
// Nothing has been changed or consumed before it.
func (a *API) tokenOfPage(r *http.Request, tokens []rotation.Token) (rotation.Token, error) {
	if err := a.SameOrigin(r); err != nil {
		return rotation.Token{}, err
	}
	given := false
	// The second name may be taken: axios fills it from another application's cookie.
	for _, h := range []string{r.Header.Get(wire.HeaderCSRF), r.Header.Get(wire.HeaderXSRF)} {
		given = given || h != ""
		for _, t := range tokens {
			if h != "" && a.csrf.valid(t.Session, h) {
				return t, nil
			}
		}
	}
	if !given {
		return rotation.Token{}, errCSRFMissing
	}
	return rotation.Token{}, errCSRFWrong
}
