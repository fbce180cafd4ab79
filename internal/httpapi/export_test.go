package httpapi

import (
	"net/http"

	"github.com/tacet-dev/tacet/internal/idp"
	"github.com/tacet-dev/tacet/internal/oauth"
)

// Routes lists "METHOD path" of every route there can be.
func Routes(cfg Config) []string {
	through := func(h http.Handler) http.Handler { return h }
	cfg.Protect, cfg.FeedToken, cfg.OAuth, cfg.Providers = through, "a secret of the feed", &oauth.Server{}, &idp.Service{}
	var out []string
	for path, methods := range (&api{Config: cfg}).routes() {
		for method := range methods {
			out = append(out, method+" "+path)
		}
	}
	return out
}

// InvalidWords are the words of directory.InvalidError that are translated.
func InvalidWords() (what, why map[string]string) { return invalidWhat, invalidWhy }

// Document is the served document.
func Document() string { return document }
