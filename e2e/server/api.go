package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/tacet-dev/tacet/verify"
)

// api is a resource server with the kinds of responses that clients get wrong.
func api() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/orders", func(w http.ResponseWriter, r *http.Request) {
		t, _ := verify.FromContext(r.Context())
		writeJSON(w, map[string]any{"orders": []int{1, 2, 3}, "n": r.URL.Query().Get("n"), "sub": t.Subject()})
	})
	// upload says what arrived, byte for byte.
	mux.HandleFunc("POST /api/upload", func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		n, err := io.Copy(h, r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		writeJSON(w, map[string]any{"bytes": n, "sha256": hex.EncodeToString(h.Sum(nil)), "type": r.Header.Get("Content-Type")})
	})
	// form reads a multipart form and says what each part holds.
	mux.HandleFunc("POST /api/form", func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(8 << 20); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		files := map[string]string{}
		for name, list := range r.MultipartForm.File {
			f, err := list[0].Open()
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			h := sha256.New()
			_, _ = io.Copy(h, f)
			_ = f.Close()
			files[name] = hex.EncodeToString(h.Sum(nil))
		}
		writeJSON(w, map[string]any{"fields": r.MultipartForm.Value, "files": files})
	})
	// blob is binary, with every byte value.
	mux.HandleFunc("GET /api/blob", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		b := make([]byte, 1<<16)
		for i := range b {
			b[i] = byte(i * 7)
		}
		_, _ = w.Write(b)
	})
	mux.HandleFunc("GET /api/slow", func(w http.ResponseWriter, r *http.Request) {
		ms, _ := strconv.Atoi(r.URL.Query().Get("ms"))
		select {
		case <-r.Context().Done():
		case <-time.After(time.Duration(min(ms, 10_000)) * time.Millisecond):
			writeJSON(w, map[string]any{"ok": true})
		}
	})
	mux.HandleFunc("GET /api/forbidden", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope"`)
		w.WriteHeader(http.StatusForbidden)
	})
	return mux
}

// created answers whoever was let through.
func created(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) }

// always401 is an API that is misconfigured: no token pleases it.
func always401(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	w.WriteHeader(http.StatusUnauthorized)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
