package cli

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	"github.com/tacet-dev/tacet/internal/app"
)

type doctorCmd struct {
	serveCmd
	outputFlag
}

// finding is the result of one check.
type finding struct {
	Check  string `json:"check"`
	Status string `json:"status"` // ok, warn, fail
	Detail string `json:"detail"`
	Advice string `json:"advice,omitempty"`
}

const (
	statusOK   = "ok"
	statusWarn = "warn"
	statusFail = "fail"
)

func (c *doctorCmd) Run(e *env) error {
	publicURL := c.PublicURL
	if publicURL == "" {
		publicURL = "http://" + c.Listen
	}
	cfg := c.serverFlags.config(e, c.dataFlags, publicURL)
	findings := checkSettings(&cfg)
	findings = append(findings, checkClock(time.Now()))
	if findings[0].Status != statusFail {
		findings = append(findings, checkCookies(cfg)...)
		findings = append(findings, checkData(e, cfg)...)
		findings = append(findings, checkProviders(e, cfg)...)
	}
	findings = append(findings, checkListen(c.Listen))

	rows := make([][]string, len(findings))
	failed := 0
	for i, f := range findings {
		detail := f.Detail
		if f.Advice != "" {
			detail += ": " + f.Advice
		}
		rows[i] = []string{strings.ToUpper(f.Status), f.Check, detail}
		if f.Status == statusFail {
			failed++
		}
	}
	if err := c.list(e.stdout, []string{"STATUS", "CHECK", "DETAIL"}, rows, findings); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d checks failed", failed, len(findings))
	}
	return nil
}

func checkSettings(cfg *app.Config) []finding {
	if err := cfg.Normalize(); err != nil {
		return []finding{{"configuration", statusFail, strings.ReplaceAll(err.Error(), "\n", "; "), ""}}
	}
	f := finding{"configuration", statusOK, "every setting is valid", ""}
	if cfg.InsecureHTTP && !cfg.Secure() {
		f = finding{"configuration", statusWarn, "insecure-http is on: passwords and tokens travel in clear", "put TLS in front and set an https public-url"}
	}
	return []finding{f}
}

// checkClock finds clocks that are plainly wrong. Lifetimes and signatures
// depend on the time of day.
func checkClock(now time.Time) finding {
	const check = "clock"
	if built := buildTime(); now.Before(built) {
		return finding{check, statusFail, fmt.Sprintf("it is %s here, before this program was built (%s)", when(now), when(built)), "set the clock, or turn on time synchronisation"}
	}
	synced, known := clockSynchronised()
	if known && !synced {
		return finding{check, statusWarn, "it is " + when(now) + " here, but the system does not say that the clock is synchronised", "turn on time synchronisation (chrony, systemd-timesyncd)"}
	}
	return finding{check, statusOK, "it is " + when(now) + " here", ""}
}

// checkCookies finds set-ups in which browsers would not keep or send them.
func checkCookies(cfg app.Config) []finding {
	const check = "cookies"
	out := []finding{}
	if !cfg.Secure() {
		out = append(out, finding{check, statusOK, "plain http on loopback: the refresh cookie is tacet_refresh, without Secure", ""})
	} else {
		out = append(out, finding{check, statusOK, "https: the refresh cookie is __Host-tacet_refresh, with Secure", ""})
	}
	public, _ := url.Parse(cfg.PublicURL)
	for _, origin := range cfg.CORSOrigins {
		u, err := url.Parse(origin)
		if err == nil && !sameSite(public, u) {
			out = append(out, finding{check, statusFail,
				fmt.Sprintf("pages of %s are of another site than %s: browsers do not send SameSite=%s cookies from there", origin, cfg.PublicURL, cfg.SameSite),
				`serve both under one site (app.example.com and auth.example.com), or let those pages sign in with "delivery":"body"`})
		}
	}
	return out
}

// sameSite is the browsers' notion: equal scheme and registrable domain.
func sameSite(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && site(a.Hostname()) == site(b.Hostname())
}

func site(host string) string {
	if s, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return s
	}
	return host
}

// lowSpace is how many free bytes are too few to run for long.
const lowSpace = 100 << 20

func checkData(e *env, cfg app.Config) []finding {
	if cfg.DatabaseURL != "" {
		return checkStore(e, cfg)
	}
	dir, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		return []finding{{"data directory", statusFail, err.Error(), ""}}
	}
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return []finding{{"data directory", statusWarn, dir + " does not exist", "it will be made when the server starts; if you expect data, give the right --data"}}
	}
	return append([]finding{checkSpace(dir)}, checkStore(e, cfg)...)
}

// checkStore opens the store and everything in it.
func checkStore(e *env, cfg app.Config) (out []finding) {
	began := time.Now()
	cfg.Existing = true
	a, err := app.Open(e.ctx, cfg)
	if errors.Is(err, app.ErrNothing) {
		return append(out, finding{"store and keys", statusWarn, err.Error(), ""})
	}
	if err != nil {
		return append(out, finding{"store and keys", statusFail, err.Error(), ""})
	}
	defer a.Close()
	if err := a.DB.Check(e.ctx); err != nil {
		return append(out, finding{"store and keys", statusFail, err.Error(), ""})
	}
	found := "is intact"
	if cfg.DatabaseURL != "" {
		found = "answers" // its server looks after the rest
	}
	size, err := a.DB.Size()
	if err != nil {
		return append(out, finding{"store and keys", statusFail, err.Error(), ""})
	}
	out = append(out, finding{"store and keys", statusOK,
		fmt.Sprintf("the database (%d bytes) %s, a durable write works, and the master key opens the ring of %d keys (%d ms)", size, found, len(a.Keys.List()), time.Since(began).Milliseconds()), ""})
	return append(out, checkUsers(e, a))
}

func checkSpace(dir string) finding {
	free, err := freeSpace(dir)
	switch {
	case err != nil:
		return finding{"disk", statusWarn, "the free space could not be read: " + err.Error(), ""}
	case free < lowSpace:
		return finding{"disk", statusFail, fmt.Sprintf("only %d MB are free in %s", free>>20, dir), "make room; a full disk turns sign-ins and renewals into 503"}
	}
	return finding{"disk", statusOK, fmt.Sprintf("%d MB are free in %s", free>>20, dir), ""}
}

func checkUsers(e *env, a *app.App) finding {
	if elsewhere := a.Config.UsersElsewhere(); elsewhere != nil {
		if err := elsewhere.Probe(e.ctx); err != nil {
			return finding{"users", statusFail, err.Error(), "while that system can't be asked, nobody signs in and no session is renewed: compare users-url and users-secret-file with what it expects"}
		}
		return finding{"users", statusOK, a.Config.RemoteUsers.UsersURL + " answers", ""}
	}
	list, err := a.Directory.List(e.ctx, "", 1)
	switch {
	case err != nil:
		return finding{"users", statusFail, err.Error(), ""}
	case len(list) == 0:
		return finding{"users", statusWarn, "the embedded directory has no user", "add one: tacet user add NAME --password-stdin, with the same settings of where the data is"}
	}
	return finding{"users", statusOK, "the embedded directory has users", ""}
}

func checkListen(addr string) finding {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return finding{"listen", statusWarn, err.Error(), "if it is the server itself that runs there, all is well; else choose another --listen"}
	}
	_ = ln.Close()
	return finding{"listen", statusOK, addr + " is free", ""}
}
