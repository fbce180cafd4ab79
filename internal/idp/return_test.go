package idp

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/tacet-dev/tacet/internal/httpapi"
)

func returning() *surface {
	return &surface{API: &httpapi.API{Config: httpapi.Config{PublicOrigin: "https://app.example", CORSOrigins: []string{"https://spa.example", "http://localhost:5173"}}}}
}

func TestReturnTo(t *testing.T) {
	a := returning()
	for raw, want := range map[string]string{
		"":                                  "https://app.example/",
		"/":                                 "https://app.example/",
		"/orders?page=2#top":                "https://app.example/orders?page=2#top",
		"/#/orders":                         "https://app.example/#/orders",
		"/订单":                               "https://app.example/订单",
		"/a//b":                             "https://app.example/a//b",
		"/..//evil.example":                 "https://app.example/..//evil.example",
		"/@evil.example":                    "https://app.example/@evil.example",
		"/%2f%2fevil.example":               "https://app.example/%2f%2fevil.example",
		"https://app.example":               "https://app.example",
		"https://app.example/x":             "https://app.example/x",
		"https://spa.example/?x=1":          "https://spa.example/?x=1",
		"https://spa.example?x=1":           "https://spa.example?x=1",
		"http://localhost:5173/#a":          "http://localhost:5173/#a",
		"http://localhost:5173#a":           "http://localhost:5173#a",
		"https://app.example//evil.example": "https://app.example//evil.example",

		"//evil.example":       "",
		"///evil.example":      "",
		"/\\evil.example":      "",
		"\\\\evil.example":     "",
		"/\t/evil.example":     "",
		"/\n/evil.example":     "",
		" /orders":             "",
		"\u0000/orders":        "",
		"orders":               "",
		"?x":                   "",
		"javascript:alert(1)":  "",
		"data:text/html,x":     "",
		"https://evil.example": "",
		"https://evil.example/https://app.example/": "",
		"https://app.example.evil.example":          "",
		"https://app.example@evil.example":          "",
		"https://app.example:444/":                  "",
		"https://app.example:@evil.example/":        "",
		"https://spa.example.evil.example/":         "",
		"https://user@app.example/":                 "",
		"http://app.example/":                       "",
		"HTTPS://APP.EXAMPLE/":                      "",
		"https:/app.example":                        "",
		"https:app.example":                         "",
		"http://localhost:51730/":                   "",
		"http://localhost:5173.evil.example/":       "",
		"/%zz":                                      "",
		"/" + strings.Repeat("x", maxReturnTo):      "",
		"/\xff":                                     "",
	} {
		got, err := a.returnTo(raw)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%.60q leads to %q, %v; want %q", raw, got, err, want)
		}
	}
}

// browserOrigin is where a browser goes, as far as this matters here: it strips
// tabs and line ends and takes backslashes for slashes (URL Standard §4.4).
func browserOrigin(raw string) string {
	s := strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(strings.TrimFunc(raw, func(r rune) bool { return r <= ' ' }))
	m := regexp.MustCompile(`^([a-zA-Z][a-zA-Z0-9+.-]*):/*([^/?#]*)`).FindStringSubmatch(s)
	if m == nil {
		return ""
	}
	return strings.ToLower(m[1] + "://" + m[2])
}

// FuzzReturnTo: nowhere but home.
func FuzzReturnTo(f *testing.F) {
	for _, s := range []string{"", "/", "/x?y#z", "//evil.example", "https://app.example/x", "https://app.example@evil.example/", "https://spa.example/",
		"/\\evil.example", "https:\\\\app.example", "http://localhost:5173", "http://localhost:5173@evil.example", "\thttps://evil.example"} {
		f.Add(s)
	}
	a := returning()
	f.Fuzz(func(t *testing.T, raw string) {
		to, err := a.returnTo(raw)
		if err != nil {
			return
		}
		u, err := url.Parse(to)
		if err != nil {
			t.Fatalf("%q leads to %q: %v", raw, to, err)
		}
		for _, origin := range append([]string{a.PublicOrigin}, a.CORSOrigins...) {
			if u.Scheme+"://"+u.Host == origin && u.User == nil && browserOrigin(to) == origin {
				return
			}
		}
		t.Fatalf("%q leads to %q", raw, to)
	})
}
