package main

import (
	"net/http"
	"strings"

	"github.com/tacet-dev/tacet/verify"
)

// wrapped is the API in the dialect of envelopes: everything is 200, and
// "expired" is code 401 in the body.
func wrapped(v *verify.Verifier) http.Handler {
	mux := http.NewServeMux()
	say := func(w http.ResponseWriter, code int, message string, data any) {
		writeJSON(w, map[string]any{"code": code, "message": message, "data": data})
	}
	mux.HandleFunc("GET /wrapped/orders", func(w http.ResponseWriter, r *http.Request) {
		say(w, 0, "", map[string]any{"orders": []int{1, 2, 3}, "n": r.URL.Query().Get("n")})
	})
	mux.HandleFunc("GET /wrapped/sold-out", func(w http.ResponseWriter, _ *http.Request) { say(w, 40901, "nothing left", nil) })
	mux.Handle("GET /wrapped/blob", http.StripPrefix("/wrapped", rooted("/api", api())))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t, err := v.Authenticate(r)
		if err != nil || strings.HasPrefix(r.URL.Path, "/wrapped/broken") {
			say(w, 401, "the token has expired", nil)
			return
		}
		mux.ServeHTTP(w, r.WithContext(verify.NewContext(r.Context(), t)))
	})
}

// rooted serves h as if it were asked for below prefix.
func rooted(prefix string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r2 := r.Clone(r.Context())
		r2.URL.Path = prefix + r.URL.Path
		h.ServeHTTP(w, r2)
	})
}
