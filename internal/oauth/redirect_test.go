package oauth

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRFC9700_2_1_WhatMayBeRegistered(t *testing.T) {
	for uri, want := range map[string]struct{ public, confidential bool }{
		"https://app.example/cb":                 {true, true},
		"https://app.example:8443/cb?tenant=1":   {true, true},
		"https://app.example":                    {true, true},
		"http://127.0.0.1/cb":                    {true, true},
		"http://127.0.0.1:8080/cb":               {true, true},
		"http://[::1]/cb":                        {true, true},
		"http://localhost:3000/cb":               {true, true},
		"com.example.app:/cb":                    {true, false},
		"http://app.example/cb":                  {false, false},
		"http://localhost.evil.example/cb":       {false, false},
		"http://169.254.169.254/cb":              {false, false},
		"https://app.example/cb#part":            {false, false},
		"https://app.example/cb#":                {false, false},
		"https://*.app.example/cb":               {false, false},
		"https://app.example/*":                  {false, false},
		"https://user@app.example/cb":            {false, false},
		"https:///cb":                            {false, false},
		"https:app.example":                      {false, false},
		"//app.example/cb":                       {false, false},
		"/cb":                                    {false, false},
		"":                                       {false, false},
		"javascript:alert(1)":                    {false, false},
		"data:text/html,x":                       {false, false},
		"myapp:/cb":                              {false, false},
		"com.example.app://cb":                   {false, false},
		"com.example.app:cb":                     {false, false},
		"https://app.example/c b":                {false, false},
		"https://app.example/\u200bcb":           {false, false},
		"https://app.example/cb\r\nSet-Cookie:x": {false, false},
	} {
		for confidential, ok := range map[bool]bool{false: want.public, true: want.confidential} {
			err := checkRedirectURI(uri, confidential)
			var problem *InvalidError
			if (err == nil) != ok || err != nil && !errors.As(err, &problem) {
				t.Errorf("%q, confidential %v: %v", uri, confidential, err)
			}
		}
	}
}

func TestRFC8252_7_3_OnlyThePortMayDiffer(t *testing.T) {
	registered := []string{"https://app.example/cb", "http://127.0.0.1/cb", "http://[::1]:1/cb?x=%2F", "http://localhost:3000/cb"}
	for uri, want := range map[string]bool{
		"https://app.example/cb":           true,
		"http://127.0.0.1/cb":              true,
		"http://127.0.0.1:1/cb":            true,
		"http://127.0.0.1:65535/cb":        true,
		"http://[::1]/cb?x=%2F":            true,
		"http://[::1]:2/cb?x=%2F":          true,
		"http://localhost:3000/cb":         true,
		"https://app.example:443/cb":       false,
		"https://app.example/cb/":          false,
		"https://app.example/CB":           false,
		"http://127.0.0.1:/cb":             false,
		"http://127.0.0.1:999999/cb":       false,
		"http://127.0.0.1:1/cb/":           false,
		"http://127.0.0.1:1":               false,
		"http://127.1:1/cb":                false,
		"http://2130706433:1/cb":           false,
		"http://127.0.0.1:1@evil.com/cb":   false,
		"http://127.0.0.1\\@evil.com/cb":   false,
		"http://127.0.0.1:1#/cb":           false,
		"http://127.0.0.1.evil.com/cb":     false,
		"http://[::1]:2/cb?x=/":            false,
		"http://[::1%25eth0]:2/cb?x=%2F":   false,
		"http://::1:2/cb?x=%2F":            false,
		"http://[127.0.0.1]:2/cb":          false,
		"http://localhost:3001/cb":         true,
		"http://[localhost]:3001/cb":       false,
		"http://localhost.evil.com/cb":     false,
		"http://localhost:1@evil.com/cb":   false,
		"http://LOCALHOST:1/cb":            false,
		"https://localhost:3001/cb":        false,
		"https://127.0.0.1:1/cb":           false,
		"HTTP://127.0.0.1:1/cb":            false,
		"http://127.0.0.1:1/cb?":           false,
		"http://user:pw@127.0.0.1:1/cb":    false,
		"http://127.0.0.1:1/../cb":         false,
		"http://127.0.0.1:1/cb\nhttps://x": false,
	} {
		if got := allows(registered, uri); got != want {
			t.Errorf("%q: %v, want %v", uri, got, want)
		}
	}
}

// What is allowed leads to where a registered URI leads, whatever is asked for.
func FuzzRedirectURI(f *testing.F) {
	for _, uri := range []string{"http://127.0.0.1:1@evil.com/cb", "http://[::1]:5/cb", "http://127.0.0.1:1\\@evil/cb", "https://app.example/cb", "http://127.0.0.1:00080/cb"} {
		f.Add(uri)
	}
	registered := []string{"https://app.example/cb", "http://127.0.0.1/cb", "http://[::1]/cb"}
	f.Fuzz(func(t *testing.T, uri string) {
		if !allows(registered, uri) {
			return
		}
		u, err := url.Parse(uri)
		if err != nil {
			t.Fatalf("%q is allowed and no URL: %v", uri, err)
		}
		if u.User != nil || u.Path != "/cb" || u.RawQuery != "" || u.Fragment != "" || strings.Contains(uri, "#") {
			t.Fatalf("%q is allowed", uri)
		}
		if h := u.Hostname(); uri != registered[0] && h != "127.0.0.1" && h != "::1" {
			t.Fatalf("%q leads to %s", uri, h)
		}
	})
}

// Parameters that are added come back, beside those that were there.
func TestParametersOfRedirects(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		uri := rapid.SampledFrom([]string{"https://app.example/cb", "https://app.example/cb?", "https://app.example/cb?a=1", "https://app.example/cb?a=1&", "com.example.app:/cb"}).Draw(t, "uri")
		value := rapid.String().Draw(t, "value")
		u, err := url.Parse(withParams(uri, url.Values{"state": {value}}))
		if err != nil {
			t.Fatal(err)
		}
		want := url.Values{"state": {value}}
		if strings.Contains(uri, "a=1") {
			want.Set("a", "1")
		}
		if got := u.Query(); got.Encode() != want.Encode() {
			t.Fatalf("%s: %v, want %v", u, got, want)
		}
	})
}
