package httpapi

import (
	_ "embed"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/tacet-dev/tacet/wire"
)

// document describes this surface. Tests hold all of their traffic against it.
//
//go:embed openapi.yaml
var document string

// openapi is GET /auth/openapi.yaml.
func (a *API) openapi(w http.ResponseWriter, _ *http.Request) error {
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("Content-Type", "application/yaml") // RFC 9512
	_, _ = io.WriteString(w, strings.Replace(document, "{default: "+wire.DefaultBasePath+"}", "{default: "+strconv.Quote(a.BasePath)+"}", 1))
	return nil
}
