package httpapi

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/tacet-dev/tacet/internal/problem"
)

// ReadJSON decodes the body into v. An empty body leaves v as it is. Unknown
// members are ignored: clients of other versions send more.
func ReadJSON(r *http.Request, v any) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return problem.TooLarge
		}
		return problem.BodyUnreadable
	}
	if len(body) == 0 {
		return nil
	}
	if mt, params, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil ||
		mt != "application/json" || (params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8")) {
		return problem.MediaType
	}
	if err := json.Unmarshal(body, v); err != nil {
		return problem.MalformedJSON
	}
	return nil
}

func WriteJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has gone is not an error of ours
	return nil
}
