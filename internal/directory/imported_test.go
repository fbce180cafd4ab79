package directory

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
)

const (
	battery = "correct horse battery staple"
	foreign = "пароль 密码 é<&>"
)

// vectors were made by the systems themselves, with the versions named, or are
// published by them.
var vectors = []struct{ from, password, hash string }{
	{"Django 3.2.25", battery, "pbkdf2_sha256$260000$RN6jo2jVTjRUnH9rswh4ZI$VzBUK7OPdcP8wTj6Q3wBO0adN5D8I4a6p96P8lZRXu4="},
	{"Django 3.2.25", foreign, "pbkdf2_sha256$260000$EhrVC1OHt9jeUPaYIn3U0Z$9xsooUUSdTBKy1k8voIiSJsM07pRA+BKBHka3/Z9ADA="},
	{"Django 3.2.25", battery, "pbkdf2_sha1$260000$t6EPp2HPHdgx6F9kptjKfV$4JPT+AQRQ5HA6X3coPBE/bIjrhA="},
	{"Django 3.2.25", battery, "argon2$argon2id$v=19$m=102400,t=2,p=8$U3l0RUU1cmRwRDY0cVZuQXN2MFdFRA$RkX/7rSuXERvQaZ58avh0A"},
	{"Django 3.2.25", battery, "bcrypt_sha256$$2b$12$q/v.sNQ8kxwvrir4vQG.jO4.cPngCLVkISd1k4TLCugFg2NQUQHRa"},
	{"Django 3.2.25", foreign, "bcrypt$$2b$12$9xfqOdAFWMzRCclsSDaTxeh2rxR9miA.9qrX17u2UfXVOAOHwfaNu"},
	{"Django's tests (test_hashers.py)", "lètmein", "scrypt$16384$seasalt$8$1$Qj3+9PPyRjSJIebHnG81TMjsqtaIGxNQG/aEB/NYafTJ7tibgfYz71m0ldQESkXFRkdVCBhhY8mx7rQwite/Pw=="},
	{"ASP.NET Core's tests (PasswordHasherTest.cs)", "my password", "AQAAAAAAAAD6AAAAEAhftMyfTJylOlZT+eEotFXd1elee8ih5WsjXaR3PA9M"},
	{"ASP.NET Core's tests (PasswordHasherTest.cs)", "my password", "AQAAAAEAACcQAAAAEAABAgMEBQYHCAkKCwwNDg+yWU7rLgUwPZb1Itsmra7cbxw2EFpwpVFIEtP+JIuUEw=="},
	{"ASP.NET Core's tests (PasswordHasherTest.cs)", "my password", "AQAAAAIAAAAyAAAAEOMwvh3+FZxqkdMBz2ekgGhwQ4B6pZWND6zgESBuWiHw"},
	{"ASP.NET Core's tests (PasswordHasherTest.cs)", "my password", "AQAAAAIAAAD6AAAAIJbVi5wbMR+htSfFp8fTw8N8GOS/Sje+S/4YZcgBfU7EQuqv4OkVYmc4VJl9AGZzmRTxSkP7LtVi9IWyUxX8IAAfZ8v+ZfhjCcudtC1YERSqE1OEdXLW9VukPuJWBBjLuw=="},
	{"Spring Security's manual", "password", "$2a$10$dXJ3SW6G7P50lGmMkkmwe.20cQQubK3.HZWzG3YB1tlRy.fqvM/BG"},
	{"Spring Security's manual", "password", "{bcrypt}$2a$10$dXJ3SW6G7P50lGmMkkmwe.20cQQubK3.HZWzG3YB1tlRy.fqvM/BG"},
	{"libxcrypt 4.4.33, as PHP writes it", battery, "$2y$05$abcdefghijklmnopqrstuuFiPhXf1sVd3pCCRO.uVh34H/qI/ZsuS"},
	{"bcrypt 3.2.2 for Python: 80 bytes, of which 72 count", strings.Repeat("0123456789", 8), "$2b$05$qgT3znPIlkCEdOtYVzr43uALyiJkCvY56atOZgmUoOOC46tGu23re"},
	{"passlib 1.7.4", battery, "$pbkdf2$131000$LkUI4TzHWKv1PmcsBcCY8w$5O/rMm9OTNwhAMeuRbAzgMm5cVg"},
	{"passlib 1.7.4", battery, "$pbkdf2-sha256$29000$TKkVwpgzJuQ8R8jZO4fwvg$TtSK4N/ak0DsFBvDo9Fj4vGegg/c2DFtuZ/u3wk/Av8"},
	{"passlib 1.7.4", battery, "$pbkdf2-sha512$25000$qnVuDYFwLmWMcQ5hDGEsBQ$iNFXsvzAMA3qWloxitYEZ6sIkeM9X30db9MFAEZzcT5sdVHn0FJD7TVxJAnp2eRgjcKtKAmips3AGTSiz0hrTA"},
	{"PHC, by Python's hashlib", battery, "$pbkdf2-sha512$i=25000$c2FsdHNhbHRzYWx0c2FsdA$fn37iVG+0NIAXElrmfs9j5mimNybdh4e7eNBUo2FQKocNztnbgQyKEusvX8+cDzb8G6AymrmrxKJxxYI045xmQ"},
	{"passlib 1.7.4", battery, "$scrypt$ln=12,r=8,p=1$PIewFiIkJMT4P8fY21tLCQ$gg49GtSC5B4Sx54JOcyGv5VxrCMPyxLf7Su7P/6VchY"},
	{"passlib 1.7.4", battery, "$argon2id$v=19$m=102400,t=2,p=8$y5nTunfOuZcy5lzLOef8vw$fsaFFIQYxzOQzuuY4HUQ9A"},
	{"passlib 1.7.4", battery, "$bcrypt-sha256$v=2,t=2b,r=10$BooIGKDb5TzfxZqguZfjAe$E6OZf07ceuEU4oe3S.XsY5Ce9.VUnAW"},
	{"argon2-cffi 21.1.0", "password", "$argon2i$v=19$m=65536,t=2,p=4$c29tZXNhbHRzb21lc2FsdA$P5OjMklnslm5HXk0QRiDFV/zAYiwyXZ1"},
}

func TestHashesOfOtherSystems(t *testing.T) {
	h := newHasher(DefaultHash, 2, rand.Reader)
	for _, v := range vectors {
		t.Run(v.from+" "+v.hash[:min(20, len(v.hash))], func(t *testing.T) {
			ok, outdated, err := h.verify(context.Background(), v.hash, v.password)
			if err != nil || !ok || !outdated {
				t.Errorf("the right password: %v, outdated %v, %v", ok, outdated, err)
			}
			for _, wrong := range []string{v.password[1:]} {
				if ok, _, _ := h.verify(context.Background(), v.hash, wrong); ok {
					t.Errorf("%q is taken", wrong)
				}
			}
		})
	}
}

// Hashes that would stop the server, that prove nothing, or that nobody can read.
func TestHashesThatAreNotTaken(t *testing.T) {
	for hash, want := range map[string]string{
		"$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b2dWRWJTmaaJObGRdescudvJCs":        "costs too much",
		"$argon2id$v=19$m=65536,t=4000000000,p=1$c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b2dWRWJTmaaJObGRdescudvJCs": "costs too much",
		"$argon2id$v=19$m=1048576,t=64,p=1$c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b2dWRWJTmaaJObG":                  "costs too much",
		"argon2$argon2id$v=19$m=4194304,t=2,p=8$U3l0RUU1cmRwRDY0cVZuQXN2MFdFRA$RkX/7rSuXERvQaZ58avh0A":               "costs too much",
		"$argon2id$v=19$m=7,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b2dWRWJTmaaJObG":                         "costs can't be right",
		"$argon2id$v=16$m=65536,t=2,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub+b2dWRWJTmaaJObG":                                "damaged",
		"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$Rdes":                                                            "prove nothing",
		"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$":                                                                "damaged",
		"$2b$31$q/v.sNQ8kxwvrir4vQG.jO4.cPngCLVkISd1k4TLCugFg2NQUQHRa":                                               "costs too much",
		"bcrypt$$2b$16$q/v.sNQ8kxwvrir4vQG.jO4.cPngCLVkISd1k4TLCugFg2NQUQHRa":                                        "costs too much",
		"$bcrypt-sha256$v=2,t=2b,r=31$BooIGKDb5TzfxZqguZfjAe$E6OZf07ceuEU4oe3S.XsY5Ce9.VUnAW":                        "costs too much",
		"$2b$03$q/v.sNQ8kxwvrir4vQG.jO4.cPngCLVkISd1k4TLCugFg2NQUQHRa":                                               "costs can't be right",
		"$2x$05$q/v.sNQ8kxwvrir4vQG.jO4.cPngCLVkISd1k4TLCugFg2NQUQHRa":                                               "is not known",
		"$2b$12$tooshort": "damaged",
		"$scrypt$ln=30,r=8,p=1$PIewFiIkJMT4P8fY21tLCQ$gg49GtSC5B4Sx54JOcyGv5VxrCMPyxLf7Su7P/6VchY":                                 "costs too much",
		"$scrypt$ln=14,r=8,p=1000000$PIewFiIkJMT4P8fY21tLCQ$gg49GtSC5B4Sx54JOcyGv5VxrCMPyxLf7Su7P/6VchY":                           "costs too much",
		"$scrypt$ln=58,r=4611686018427387904,p=1$PIewFiIkJMT4P8fY21tLCQ$gg49GtSC5B4Sx54JOcyGv5VxrCMPyxLf7Su7P/6VchY":               "costs too much",
		"$scrypt$ln=-1,r=8,p=1$PIewFiIkJMT4P8fY21tLCQ$gg49GtSC5B4Sx54JOcyGv5VxrCMPyxLf7Su7P/6VchY":                                 "costs can't be right",
		"scrypt$4294967296$seasalt$8$1$Qj3+9PPyRjSJIebHnG81TMjsqtaIGxNQG/aEB/NYafTJ7tibgfYz71m0ldQESkXFRkdVCBhhY8mx7rQwite/Pw==":   "damaged",
		"scrypt$16385$seasalt$8$1$Qj3+9PPyRjSJIebHnG81TMjsqtaIGxNQG/aEB/NYafTJ7tibgfYz71m0ldQESkXFRkdVCBhhY8mx7rQwite/Pw==":        "power of two",
		"pbkdf2_sha256$4000000000$RN6jo2jVTjRUnH9rswh4ZI$VzBUK7OPdcP8wTj6Q3wBO0adN5D8I4a6p96P8lZRXu4=":                             "costs too much",
		"$pbkdf2-sha256$9000000$TKkVwpgzJuQ8R8jZO4fwvg$TtSK4N/ak0DsFBvDo9Fj4vGegg/c2DFtuZ/u3wk/Av8TtSK4N/ak0DsFBvDo9Fj4vGegg/c2DF": "costs too much",
		"pbkdf2_sha256$0$RN6jo2jVTjRUnH9rswh4ZI$VzBUK7OPdcP8wTj6Q3wBO0adN5D8I4a6p96P8lZRXu4=":                                      "costs can't be right",
		"pbkdf2_sha256$-5$RN6jo2jVTjRUnH9rswh4ZI$VzBUK7OPdcP8wTj6Q3wBO0adN5D8I4a6p96P8lZRXu4=":                                     "costs can't be right",
		"AQAAAAIAAAAyAAAA////////":                             "damaged",
		"AKb/Cm7Hy5Vnn0lMjhHOEGZ0HLzGGjTbKpYjWOMRKQhLZJs1lw==": "neither",
		"$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/": "is not known",
		"5f4dcc3b5aa765d61d8327deb882cf99": "neither",
		"password":                         "neither",
		"!":                                "neither",
		strings.Repeat("$2b$", 1000):       "more than 1024",
	} {
		_, err := parseImported(hash)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %q", hash, err, want)
		}
	}
}

// A password that was typed in another Unicode form is the same at ours, and at
// other systems what was typed.
func TestUnicodeFormsOfImportedHashes(t *testing.T) {
	const composed, decomposed = "caf\u00e9-password", "cafe\u0301-password"
	h := newHasher(HashParams{Memory: 64, Time: 1, Threads: 1}, 1, rand.Reader)
	p := phc{HashParams: h.params, salt: h.bytes(saltLen)}
	p.hash = make([]byte, hashLen)
	p.hash = p.compute(decomposed) // as another system that composes nothing makes it
	if ok, outdated, err := h.verify(t.Context(), p.String(), decomposed); !ok || !outdated || err != nil {
		t.Errorf("as it was typed: %v, outdated %v, %v", ok, outdated, err)
	}
	if ok, _, _ := h.verify(t.Context(), p.String(), composed); ok {
		t.Error("the composed form has another hash there")
	}
	own, err := h.hash(t.Context(), decomposed)
	if err != nil {
		t.Fatal(err)
	}
	for _, typed := range []string{composed, decomposed} {
		if ok, outdated, err := h.verify(t.Context(), own, typed); !ok || outdated || err != nil {
			t.Errorf("%q at ours: %v, outdated %v, %v", typed, ok, outdated, err)
		}
	}
}

// Who moved in signs in with the old password, and has one of our hashes from
// then on.
func TestSignInOfAnImportedUser(t *testing.T) {
	m := newMemory()
	d := newDirectory(m)
	im, err := d.NewImport(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const old = "$2y$05$abcdefghijklmnopqrstuuFiPhXf1sVd3pCCRO.uVh34H/qI/ZsuS"
	for i, in := range []Imported{{Name: "Ada", PasswordHash: old}, {Name: "nobody"}} {
		u, err := im.Check(i, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []bool{true, false} { // twice, as when it is run again
			if would, err := im.Would(t.Context(), u); would != want || err != nil {
				t.Errorf("%s: would be added: %v, %v", in.Name, would, err)
			}
			if added, err := im.Add(t.Context(), u); added != want || err != nil {
				t.Errorf("%s: added %v, %v", in.Name, added, err)
			}
		}
	}
	for _, wrong := range []string{"", "wrong", old} {
		if _, err := d.Authenticate(t.Context(), "nobody", wrong); err != ErrInvalidCredentials {
			t.Errorf("a user without a password signs in with %q: %v", wrong, err)
		}
		if _, err := d.Authenticate(t.Context(), "ada", wrong); err != ErrInvalidCredentials {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	hash := func() string {
		u, err := m.UserByName(t.Context(), "ada")
		if err != nil {
			t.Fatal(err)
		}
		return u.PasswordHash
	}
	if hash() != old {
		t.Error("a wrong password changed the hash")
	}
	if _, err := d.Authenticate(t.Context(), "ada", battery); err != nil {
		t.Fatal(err)
	}
	ours := hash()
	if !strings.HasPrefix(ours, "$argon2id$") {
		t.Errorf("after the sign-in the hash is still %.8s", ours)
	}
	if _, err := d.Authenticate(t.Context(), "ada", battery); err != nil || hash() != ours {
		t.Errorf("the second sign-in: %v", err)
	}
}
