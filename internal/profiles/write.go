package profiles

import (
	"encoding/json"
	"io"
	"net/http"
)

// write sends an answer.
func (d *dialect) write(w http.ResponseWriter, a *answer, v *values) { d.p.write(w, a, v) }

func (p *Profile) write(w http.ResponseWriter, a *answer, v *values) {
	setHeaders(w.Header(), a.headers, v)
	body, text := a.render(p, v)
	status := a.statusFor(v.problem)
	if text {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body.(string)) // a client that has gone is not an error of ours
		return
	}
	data, err := json.Marshal(body)
	if err != nil { // settings of a directory of the user's own that JSON does not have
		data, status = []byte(`null`), http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(data)
}

func setHeaders(h http.Header, members []member, v *values) {
	for _, m := range members {
		if s := m.value.textOf(v); s != "" {
			h.Set(m.name, s)
		}
	}
}

// refuse sends an error in the form of the dialect. It touches no cookie: by the
// time a refusal arrives, the browser may hold the fresh one of a sibling.
func (d *dialect) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := d.Explain(r, err)
	a := d.p.refusal(d.route, p.Kind)
	status := a.statusFor(p)
	for name, value := range p.Header {
		if name != "Www-Authenticate" || status == http.StatusUnauthorized {
			w.Header()[name] = value
		}
	}
	d.write(w, a, &values{problem: p, language: d.Language(r)})
}
