package suggest

import (
	"strings"
	"testing"
)

func TestDidYouMean(t *testing.T) {
	known := []string{"access-ttl", "refresh-ttl", "listen", "ua"}
	for name, want := range map[string]string{
		"acces-ttl":                "; did you mean access-ttl?",
		"refresh_ttl":              "; did you mean refresh-ttl?",
		"lsiten":                   "; did you mean listen?",
		"listening":                "; did you mean listen?",
		"listenings":               "",
		"x":                        "", // as far from "ua" as any name of two letters
		"colour":                   "",
		"":                         "",
		strings.Repeat("long", 20): "",
	} {
		if got := DidYouMean(name, known); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	if got := DidYouMean("lasten", []string{"listen", "fasten"}); got != "; did you mean listen?" {
		t.Errorf("%q, want the first of two that are equally close", got)
	}
}
