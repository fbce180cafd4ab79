// Command noop is the floor under every HTTP server in Go on this machine:
// net/http that parses a small JSON POST and answers a small JSON. It stops
// when its stdin ends.
package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http"

	"github.com/tacet-dev/tacet/bench/serve"
)

func main() {
	if err := serve.Loopback(http.HandlerFunc(echo)); err != nil {
		log.Fatal("noop: ", err)
	}
}

// echo answers every request with the same token: a chain that never moves.
func echo(w http.ResponseWriter, r *http.Request) {
	var body struct {
		RefreshToken string `json:"refresh_token"`
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 4<<10))
	if err == nil {
		err = json.Unmarshal(raw, &body)
	}
	if err != nil {
		http.Error(w, `{"code":"invalid_request"}`, http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write([]byte(`{"refresh_token":"noop"}`))
}
