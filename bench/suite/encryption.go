package suite

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/bench/report"
	"github.com/tacet-dev/tacet/seal"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// answerSizes are how large the responses of the suite are.
var answerSizes = []struct {
	name  string
	bytes int
}{{"1 kB", 1 << 10}, {"100 kB", 100 << 10}, {"10 MB", 10 << 20}}

func runEncryption(ctx context.Context, e *Env, sec *report.Section) error {
	f, err := newEncryptionFixture()
	if err != nil {
		return err
	}
	defer f.close()
	t := report.Table{Header: []string{"answer", "ns", "× plain", "allocations", "B allocated", "B sent"}}
	samples := map[string]speeds{}
	for _, size := range answerSizes {
		content := bytes.Repeat([]byte(`{"id":17,"name":"a row of a table"},`), size.bytes/36+1)[:size.bytes]
		plain, encrypted := size.name+", plain", size.name+", encrypted"
		rounds, err := e.race(ctx, sec, &f.failed,
			contender{plain, func(b *testing.B) { f.answer(b, content, false) }}, contender{encrypted, func(b *testing.B) { f.answer(b, content, true) }})
		if err != nil {
			return err
		}
		for i, row := range rounds.rows(plain, plain, encrypted) {
			t.Rows = append(t.Rows, append(row, report.Count(float64(f.sent[i == 1]))))
		}
		samples[size.name] = rounds
	}
	sec.Tables = []report.Table{t}
	sec.Samples = samples
	sec.Notes = []string{
		"One GET over loopback, client and server in one process: the access token, seen before, is checked (verify.Middleware), the request's seal opened, the response encrypted (verify.Encryption: JWE, AES-256-GCM). Requests were sealed before, and answers are read but not opened: the client's part of the work is not counted.",
		"The plain server writes from a slice that is there already. Encrypted answers are a third longer (base64url) and held in memory as a whole.",
	}
	return nil
}

// encryptionFixture is a resource server that takes encrypted requests, and a
// client of it.
type encryptionFixture struct {
	*verifyFixture
	encryption *verify.Encryption
	verifier   *verify.Verifier
	channel    *seal.Channel
	tokens     map[bool]string // bound to the client's key, and not
	sent       map[bool]int64  // bytes of the last answer, plain and encrypted
}

const encryptionSession = "019ab2c4-d5e6-7708-992a-3b4c5d6e7f80"

func newEncryptionFixture() (*encryptionFixture, error) {
	vf, err := newVerifyFixture()
	if err != nil {
		return nil, err
	}
	f := &encryptionFixture{verifyFixture: vf, sent: map[bool]int64{}, tokens: map[bool]string{}}
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	server, err := seal.NewServerKey(private)
	if err != nil {
		return nil, err
	}
	client, err := seal.NewClient()
	if err != nil {
		return nil, err
	}
	if f.channel, err = client.Channel(server.Public(), encryptionSession); err != nil {
		return nil, err
	}
	for bound, key := range map[bool]string{false: "", true: client.ID()} {
		if f.tokens[bound], err = vf.signOne(len(f.tokens), key); err != nil {
			return nil, err
		}
	}
	if f.verifier, err = verify.New(verify.Config{Issuer: vf.issuer, Audience: verifyAudience, Keys: vf.keys}); err != nil {
		return nil, err
	}
	f.encryption, err = verify.NewEncryption(verify.EncryptionConfig{Verifier: f.verifier, Keys: verify.EncryptionKeys(server)})
	return f, err
}

// answer sends b.N requests, which were sealed before, over loopback and reads
// the responses as they are.
func (f *encryptionFixture) answer(b *testing.B, content []byte, encrypted bool) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if f.fail(err) {
		return
	}
	srv := &http.Server{Handler: f.encryption.Middleware(f.verifier.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		w.Write(content)
	})))}
	go srv.Serve(l)
	defer srv.Close()
	requests, err := f.requests(b, "http://"+l.Addr().String(), encrypted)
	if f.fail(err) {
		return
	}
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	b.ReportAllocs()
	b.ResetTimer()
	for _, r := range requests {
		resp, err := transport.RoundTrip(r)
		if f.fail(err) {
			return
		}
		n, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err == nil && (resp.StatusCode != http.StatusOK || n < int64(len(content))) {
			err = fmt.Errorf("responded with %d with %d bytes", resp.StatusCode, n)
		}
		if f.fail(err) {
			return
		}
		f.sent[encrypted] = n
	}
}

func (f *encryptionFixture) requests(b *testing.B, server string, encrypted bool) ([]*http.Request, error) {
	const path = "/api/rows?page=2"
	list := make([]*http.Request, b.N)
	for i := range list {
		r, err := http.NewRequestWithContext(b.Context(), "GET", server+path, nil)
		if err != nil {
			return nil, err
		}
		r.Header = http.Header{"Authorization": {"Bearer " + f.tokens[encrypted]}, "Accept": {"application/json"}}
		if encrypted {
			message, err := f.channel.Seal(seal.Request{Method: "GET", Path: path, Sequence: f.channel.Next()}, "", nil, time.Now().UnixMilli())
			if err != nil {
				return nil, err
			}
			r.Header.Set(wire.HeaderSeal, string(message))
		}
		list[i] = r
	}
	return list, nil
}
