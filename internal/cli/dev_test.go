package cli

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// startDev runs the demo until the test ends.
func startDev(t *testing.T, args ...string) (url string, out *lockedBuffer) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	out = &lockedBuffer{}
	ended := make(chan int, 1)
	go func() { ended <- Main(ctx, append([]string{"dev"}, args...), nil, out, out) }()
	t.Cleanup(func() {
		stop()
		if code := <-ended; code != exitOK {
			t.Errorf("exit code %d\n%s", code, out.String())
		}
	})
	addr := regexp.MustCompile(`msg=listening addr=(\S+)`)
	for range 1000 {
		if m := addr.FindStringSubmatch(out.String()); m != nil {
			return "http://" + strings.Replace(m[1], "[::]", "127.0.0.1", 1), out
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("the demo does not start:\n" + out.String())
	return "", nil
}

func askAs(t *testing.T, url, host string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

// DNS rebinding: a page of evil.example whose name leads to 127.0.0.1 later.
func TestDevAnswersForThisMachineOnly(t *testing.T) {
	url, _ := startDev(t, "--listen", "127.0.0.1:0")
	for host, want := range map[string]int{
		"127.0.0.1": 200, "127.0.0.1:8080": 200, "localhost": 200, "localhost:1": 200, "app.localhost": 200, "[::1]:80": 200, "127.1.2.3": 200,
		"evil.example": 421, "evil.example:8080": 421, "localhost.evil.example": 421, "192.0.2.1": 421, "127.0.0.1.evil.example": 421, "notlocalhost": 421,
	} {
		for _, path := range []string{"/", "/auth/openapi.yaml"} {
			if got, body := askAs(t, url+path, host); got != want {
				t.Errorf("%s of %s: %d, want %d: %.100s", path, host, got, want, body)
			}
		}
	}
}

func TestDevIsNotShownToTheNetworkUnasked(t *testing.T) {
	var out bytes.Buffer
	for _, listen := range []string{"0.0.0.0:0", ":0", "[::]:0"} {
		if code := Main(t.Context(), []string{"dev", "--listen", listen, "--public-url", "http://localhost:8080"}, nil, &out, &out); code != exitUsage || !strings.Contains(out.String(), "--expose-demo-passwords") {
			t.Errorf("%s: exit code %d, %s", listen, code, out.String())
		}
		out.Reset()
	}
	url, said := startDev(t, "--listen", "0.0.0.0:0", "--public-url", "http://localhost:8080", "--expose-demo-passwords")
	if !strings.Contains(said.String(), "WARNING: everybody who reaches") {
		t.Errorf("no warning:\n%s", said.String())
	}
	for host, want := range map[string]int{"192.0.2.1": 200, "evil.example": 421} {
		if got, _ := askAs(t, url+"/", host); got != want {
			t.Errorf("%s: %d, want %d", host, got, want)
		}
	}
}
