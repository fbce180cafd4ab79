package demo

import (
	"embed"
	"io/fs"
	"net/http"
	"path"

	"github.com/tacet-dev/tacet/wire"
)

// static is built from demo/ at the root of the repository by `npm run build`;
// a test fails when it is older than its sources.
//
//go:embed static
var static embed.FS

// contentPolicy allows the page what it has: its own scripts, styles and calls,
// and pictures that it downloaded. Nothing inline, nothing from elsewhere.
const contentPolicy = "default-src 'self'; img-src 'self' blob: data:; base-uri 'none'; object-src 'none'; " +
	"form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'"

func pageHeaders(h http.Header) {
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
}

func (s *Server) servePage(w http.ResponseWriter, r *http.Request) {
	s.admit(w, r)
	pageHeaders(w.Header())
	w.Header().Set("Cache-Control", "no-cache")
	http.ServeFileFS(w, r, static, "static/index.html")
}

// serveAsset serves the built files. Their names carry a hash of their content,
// so they never change.
func (s *Server) serveAsset(w http.ResponseWriter, r *http.Request) {
	name := "static" + path.Clean(r.URL.Path)
	if info, err := fs.Stat(static, name); err != nil || info.IsDir() {
		problem(w, http.StatusNotFound, wire.CodeNotFound, "There is no such file. Load the page again: it may be of an older build.")
		return
	}
	pageHeaders(w.Header())
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeFileFS(w, r, static, name)
}
