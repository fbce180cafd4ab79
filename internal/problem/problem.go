// Package problem is the catalogue type for errors that a person or a program is
// told over HTTP (RFC 9457): a status, a stable code, and sentences in the
// languages that this server speaks. The kernel and every wing declare rows of
// it; [Write] is the only place that prints one.
package problem

import (
	"encoding/json"
	"fmt"
	"net/http"

	"golang.org/x/text/language"

	"github.com/tacet-dev/tacet/wire"
)

// Text is a sentence in the languages that this server speaks.
type Text struct{ EN, ZH string }

// In returns the sentence in one of them.
func (t Text) In(tag language.Tag) string {
	if tag == language.SimplifiedChinese {
		return t.ZH
	}
	return t.EN
}

// Problem is one row of the catalogue. It is an error that handlers return.
type Problem struct {
	Status int
	Code   string // a wire.Code… name
	Title  Text
	Detail Text
	Args   []any // of Detail, as fmt.Sprintf takes them
	// Header, if set, adds to the header of the response.
	Header func(http.Header)
}

// Error is the code and the English detail.
func (p *Problem) Error() string { return p.Code + ": " + p.Says(language.English) }

// Says is the detail for a person.
func (p *Problem) Says(lang language.Tag) string { return fmt.Sprintf(p.Detail.In(lang), p.Args...) }

// Write writes the problem document in a language. It also takes back the ETag
// of a response that had been begun.
func Write(w http.ResponseWriter, lang language.Tag, p *Problem) {
	body, _ := json.Marshal(wire.Problem{ // strings and a number always have a JSON form
		Type:   "about:blank",
		Title:  p.Title.In(lang),
		Status: p.Status,
		Code:   p.Code,
		Detail: p.Says(lang),
	})
	h := w.Header()
	if p.Header != nil {
		p.Header(h)
	}
	h.Set("Content-Type", wire.ContentTypeProblem)
	h.Set("Content-Language", Name(lang))
	h.Set("Cache-Control", "no-store")
	h.Del("ETag")
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // a client that has gone is not an error of ours
}
