package demo

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/wire"
)

// maxUpload bounds what POST /api/demo/echo reads.
const maxUpload = 1 << 20

// apiHandler is the resource server of the demo, behind Config.Protect.
func (s *Server) apiHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/demo/orders", require("orders:read", serveOrders))
	mux.HandleFunc("GET /api/demo/picture", servePicture)
	mux.HandleFunc("GET /api/demo/admin", require("admin:*", serveAdmin))
	mux.HandleFunc("POST /api/demo/echo", serveEcho)
	mux.HandleFunc("/api/demo/", func(w http.ResponseWriter, _ *http.Request) {
		problem(w, http.StatusNotFound, wire.CodeNotFound, "The demo API has orders, picture, admin and echo.")
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Uploads are read before a refusal, as a server behind a buffering
		// proxy does: the client sees the 401, not a broken connection.
		c, ok := claims(bearer(r))
		if ok && s.refuses(r, c.ID) {
			_, _ = io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxUpload))
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token", error_description="expired by the demo"`)
			problem(w, http.StatusUnauthorized, wire.CodeInvalidToken, "The demo was told to treat this access token as expired.")
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	})
}

// refuses reports whether this browser asked for its token to be expired.
func (s *Server) refuses(r *http.Request, jti string) bool {
	b := s.lookup(r)
	if b == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return b.access[jti].refused
}

// serveOrders answers a little JSON after 40–160 ms that depend on ?n=, as if
// there were a database.
func serveOrders(w http.ResponseWriter, r *http.Request) {
	h := fnv.New32a()
	_, _ = io.WriteString(h, r.URL.Query().Get("n"))
	select {
	case <-time.After(40*time.Millisecond + time.Duration(h.Sum32()%120)*time.Millisecond):
	case <-r.Context().Done():
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"orders": []map[string]any{
		{"id": "A-1001", "item": "Metronome", "quantity": 1},
		{"id": "A-1002", "item": "Manuscript paper", "quantity": 12},
	}})
}

// require answers 403 insufficient_scope to callers without the permission, on
// which a client must not renew (RFC 6750 §3.1).
func require(permission string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, _ := claims(bearer(r))
		if !slices.ContainsFunc(strings.Fields(c.Scope), func(granted string) bool { return wire.Covers(granted, permission) }) {
			w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="`+permission+`"`)
			problem(w, http.StatusForbidden, wire.CodeInsufficientScope, "This needs the permission "+permission+".")
			return
		}
		next(w, r)
	}
}

// serveAdmin is what only administrators may see.
func serveAdmin(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"revenue": 4711})
}

// servePicture answers bytes that are no JSON: a PNG drawn from the caller's id.
func servePicture(w http.ResponseWriter, r *http.Request) {
	c, _ := claims(bearer(r))
	sum := sha256.Sum256([]byte(c.Subject))
	const cells, size = 5, 24
	ink := color.RGBA{sum[0]/2 + 40, sum[1]/2 + 40, sum[2]/2 + 60, 255}
	img := image.NewPaletted(image.Rect(0, 0, cells*size, cells*size), color.Palette{color.RGBA{240, 240, 245, 255}, ink})
	for y := range cells * size {
		for x := range cells * size {
			col := x / size
			if col > cells/2 {
				col = cells - 1 - col // mirrored
			}
			if sum[3+(y/size)*3+col]&1 == 1 {
				img.SetColorIndex(x, y, 1)
			}
		}
	}
	var buf bytes.Buffer
	if err := png.Encode(&buf, img); err != nil {
		problem(w, http.StatusInternalServerError, wire.CodeServerError, "The picture could not be encoded.")
		return
	}
	w.Header().Set("Content-Type", "image/png")
	_, _ = w.Write(buf.Bytes())
}

// serveEcho says what arrived, so that the page can tell that a repeated upload
// is the same byte for byte.
func serveEcho(w http.ResponseWriter, r *http.Request) {
	sum := sha256.New()
	n, err := io.Copy(sum, http.MaxBytesReader(w, r.Body, maxUpload))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		problem(w, http.StatusRequestEntityTooLarge, wire.CodeTooLarge, fmt.Sprintf("At most %d bytes.", tooLarge.Limit))
		return
	}
	if err != nil {
		problem(w, http.StatusBadRequest, wire.CodeInvalidRequest, "The body ended early.")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"bytes": n, "sha256": hex.EncodeToString(sum.Sum(nil)), "content_type": r.Header.Get("Content-Type"),
	})
}
