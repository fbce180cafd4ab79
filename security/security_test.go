// Package security_test is the table of attacks: each row says what an attacker
// tries, with what in hand, and what must hold. All of them go over the wire, to the
// whole server with an API behind it.
package security_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

// attack is one row. After it, unless it moves something, all sessions and their
// heads are what they were and nothing was told to anybody as an event; and no
// response gives a token or a cookie of the session away.
type attack struct {
	name string
	want string // status and code of the response, like "401 invalid_token"
	try  func(w *world) reply
	also func(w *world, r reply) // what must hold besides; nil: nothing
	// moves says that something changes as it should; also says what.
	moves bool
}

// class is a kind of attack; one server is for all of its rows.
type class struct {
	name    string
	open    func(t *testing.T) *world
	attacks []attack
}

var classes = []class{
	{"JOSE", openShop, joseAttacks()},
	{"refresh tokens", openShop, refreshAttacks()},
	{"authorization codes", openShop, codeAttacks()},
	{"redirect URIs", openShop, redirectAttacks()},
	{"cross-site requests", openShop, csrfAttacks()},
	{"cookies", openShop, cookieAttacks()},
	{"paths at the gateway", openShop, pathAttacks()},
	{"headers at the gateway", openShop, headerAttacks()},
	{"request smuggling", openShop, smugglingAttacks()},
	{"proof of possession", openShop, dpopAttacks()},
	{"administration", openOffice, adminAttacks()},
	{"tokens of OAuth clients", openClients, clientAttacks()},
	{"enumeration", openOffice, enumerationAttacks()},
	{"password guessing", openShop, throttleAttacks()},
	{"device flow", openShop, deviceAttacks()},
}

func TestAttacks(t *testing.T) {
	for _, c := range classes {
		t.Run(c.name, func(t *testing.T) {
			w := c.open(t)
			owner := w.login("alice")
			for _, a := range c.attacks {
				t.Run(a.name, func(t *testing.T) { a.mustFail(w.forTest(t)) })
			}
			// Whoever was there all the time is signed in still.
			if r := w.renew(owner.RefreshToken); r.status != 200 {
				t.Errorf("after all this the owner's session does not go on: %s", r)
			}
		})
	}
}

// mustFail tries the attack.
func (a attack) mustFail(w *world) {
	w.prepared()
	r := a.try(w)
	if got := strings.TrimSpace(r.String()); got != a.want {
		w.Fatalf("got %q, want %q; %.600s", got, a.want, r.body)
	}
	if a.also != nil {
		a.also(w, r)
	}
	if a.moves {
		return
	}
	if now := w.state(); now != w.before {
		w.Errorf("something has changed: from\n%s\nto\n%s", w.before, now)
	}
	if secret := r.secret(); secret != "" {
		w.Errorf("the response gives away %s", secret)
	}
}

// tried is how many attacks outsiders tried before these tests were here.
const tried = 318

var update = flag.Bool("update", false, "write the number of attacks into SECURITY.md")

// Nobody loses a row without a word: the numbers stand in SECURITY.md
// (go test ./security -run Counted -update writes them).
func TestAttacksAreCounted(t *testing.T) {
	var table strings.Builder
	table.WriteString("| class | attacks |\n| --- | ---: |\n")
	sum := 0
	for _, c := range classes {
		seen := map[string]bool{}
		for _, a := range c.attacks {
			if seen[a.name] || a.name == "" || a.want == "" {
				t.Errorf("%s: the row %q has no name, no expectation, or is there twice", c.name, a.name)
			}
			seen[a.name] = true
		}
		fmt.Fprintf(&table, "| %s | %d |\n", c.name, len(c.attacks))
		sum += len(c.attacks)
	}
	fmt.Fprintf(&table, "| **all** | **%d** |\n", sum)
	if sum < tried {
		t.Errorf("%d attacks: there were %d", sum, tried)
	}
	const file, begin, end = "../SECURITY.md", "<!-- attacks: made by security/security_test.go -->\n", "<!-- end of attacks -->\n"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s lacks the lines %q and %q", file, begin, end)
	}
	want := before + begin + table.String() + end + after
	if want == string(data) {
		return
	}
	if !*update {
		t.Fatalf("the numbers in %s are not those of this test: go test ./security -run Counted -update writes them", file)
	}
	if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
