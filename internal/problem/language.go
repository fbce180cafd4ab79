package problem

import (
	"net/http"

	"golang.org/x/text/language"
)

var (
	spoken    = []language.Tag{language.English, language.SimplifiedChinese}
	languages = language.NewMatcher(spoken)
)

// maxAcceptLanguage bounds the header that is read, in bytes.
const maxAcceptLanguage = 1024

// Language is the language to use for the sender of a request, by
// Accept-Language (RFC 9110 §12.5.4): English unless Chinese is preferred.
func Language(r *http.Request) language.Tag {
	h := r.Header.Get("Accept-Language")
	if len(h) > maxAcceptLanguage {
		return language.English
	}
	tags, _, err := language.ParseAcceptLanguage(h)
	if err != nil {
		return language.English
	}
	_, i, confidence := languages.Match(tags...)
	if i == 1 && confidence > language.No {
		return language.SimplifiedChinese
	}
	return language.English
}

// Spoken is the language that this server speaks in place of tag, if it is close
// enough to be understood.
func Spoken(tag language.Tag) (language.Tag, bool) {
	_, i, confidence := languages.Match(tag)
	return spoken[i], confidence > language.Low
}

// Name is how Content-Language and the lang attribute of a page name a language.
func Name(tag language.Tag) string {
	if tag == language.SimplifiedChinese {
		return "zh-CN"
	}
	return "en"
}
