package suite

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/tacet-dev/tacet/bench/load"
	"github.com/tacet-dev/tacet/bench/proc"
	"github.com/tacet-dev/tacet/bench/report"
	"github.com/tacet-dev/tacet/rotation"
)

// herdsPerRound: CPU time is counted in ticks of 10 ms, one herd costs a few.
const herdsPerRound = 10

// herdRound is one round of the suite.
type herdRound struct {
	Signatures float64                    `json:"signatures_cpu_ms"` // of as many bare Ed25519 signatures
	Inside     float64                    `json:"inside_cpu_ms"`     // of as many presentations without HTTP
	Herds      map[string]load.HerdResult `json:"herds"`
	Single     load.HerdResult            `json:"single"` // tacet, herds of one
	Check      load.HerdResult            `json:"check"`  // tacet, the same sessions once more
}

func runHerd(ctx context.Context, e *Env, sec *report.Section) error {
	names := []string{noopName, limitName, tacetName}
	servers, stop, err := e.startServers(ctx, peers(names...), herdsPerRound)
	if err != nil {
		return err
	}
	defer stop()
	// Connections, stacks and pools grow to their size once, before the clock starts.
	for _, s := range servers {
		if _, err := s.gen.Herd(load.HerdSpec{Size: e.Herd, Times: 1}); err != nil {
			return err
		}
	}
	inside, err := e.newInsideHerds(ctx)
	if err != nil {
		return err
	}
	defer inside.app.Close()
	if _, err := inside.meet(ctx, e.Herd, 1); err != nil {
		return err
	}
	var rounds []herdRound
	for round := range e.Rounds {
		r := herdRound{Herds: map[string]load.HerdResult{}}
		if r.Signatures, err = signaturesCPU(e.Herd); err != nil {
			return err
		}
		if r.Inside, err = inside.meet(ctx, e.Herd, herdsPerRound); err != nil {
			return err
		}
		for _, s := range servers {
			res, err := s.gen.Herd(load.HerdSpec{Size: e.Herd, Times: herdsPerRound})
			if err != nil {
				return err
			}
			if s.Name == tacetName {
				if err := oneMove(res.Answers); err != nil {
					return fmt.Errorf("%s: %w", s.Name, err)
				}
				for _, to := range []*load.HerdResult{&r.Single, &r.Check} {
					if *to, err = s.gen.Herd(load.HerdSpec{Size: 1, Times: herdsPerRound}); err != nil {
						return err
					}
				}
			}
			e.Progress("herd of %d, round %d  %-14s %d granted, %d errors %s, %.1f ms CPU", e.Herd, round+1, s.Name,
				res.Granted, res.Errors, res.FirstError, cpuMillis(res))
			res.Answers = nil // tokens have no place in a report
			r.Herds[s.Name] = res
		}
		r.Single.Answers, r.Check.Answers = nil, nil
		rounds = append(rounds, r)
	}
	if err := stop(); err != nil {
		return err
	}
	writeHerd(e, sec, names, rounds)
	return nil
}

func cpuMillis(r load.HerdResult) float64 {
	return float64(r.Usage.CPU().Nanoseconds()) / 1e6 / herdsPerRound
}

// signaturesCPU is the CPU time of n Ed25519 signatures over a JWT's length, in
// milliseconds, averaged as the herds are.
func signaturesCPU(n int) (float64, error) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return 0, err
	}
	message := make([]byte, 480)
	before, err := proc.ReadUsage(os.Getpid())
	if err != nil {
		return 0, err
	}
	for i := range n * herdsPerRound {
		binary.LittleEndian.PutUint64(message, uint64(i))
		ed25519.Sign(key, message)
	}
	after, err := proc.ReadUsage(os.Getpid())
	return float64(after.Since(before).CPU().Nanoseconds()) / 1e6 / herdsPerRound, err
}

// oneMove checks that the head moved at most once in a herd: every response is a
// child of one parent, one generation on. The payload of a refresh token is
// open to read (PROTOCOL.md); only its maker can check it.
func oneMove(answers []string) error {
	const parent = 1 + 4 + 16 + 4 + 8 // version, key id, session, generation, tag
	first := ""
	for _, a := range answers {
		raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(a, rotation.Prefix))
		if err != nil || len(raw) < parent+8 {
			return fmt.Errorf("a response carries a token of unknown form")
		}
		family := string(raw[21:25]) + string(raw[parent:parent+8])
		if first == "" {
			first = family
		}
		if family != first {
			return fmt.Errorf("the head moved more than once in one herd")
		}
	}
	return nil
}

func writeHerd(e *Env, sec *report.Section, names []string, rounds []herdRound) {
	med := func(f func(herdRound) float64) float64 {
		var xs []float64
		for _, r := range rounds {
			xs = append(xs, f(r))
		}
		return report.Median(xs)
	}
	size := report.Count(float64(e.Herd))
	t := report.Table{Header: []string{"server", "granted", "CPU ms per herd", "× bare signatures", "ms to the last answer", "written B per herd"}}
	t.Rows = append(t.Rows, []string{size + " bare Ed25519 signatures", "–", report.Micros(med(func(r herdRound) float64 { return r.Signatures })), report.Ratio(1), "–", "–"})
	for _, n := range names {
		of := func(f func(load.HerdResult) float64) float64 {
			return med(func(r herdRound) float64 { return f(r.Herds[n]) })
		}
		t.Rows = append(t.Rows, []string{n,
			report.Count(of(func(h load.HerdResult) float64 { return float64(h.Granted) / herdsPerRound })),
			report.Micros(of(cpuMillis)),
			report.Ratio(med(func(r herdRound) float64 { return cpuMillis(r.Herds[n]) / r.Signatures })),
			report.Millis(of(func(h load.HerdResult) float64 { return float64(h.Elapsed) / herdsPerRound })),
			report.Count(of(func(h load.HerdResult) float64 { return float64(h.Usage.Written) / herdsPerRound }))})
	}
	insideRatio := med(func(r herdRound) float64 { return r.Inside / r.Signatures })
	t.Rows = append(t.Rows, []string{"tacet without HTTP", size, report.Micros(med(func(r herdRound) float64 { return r.Inside })), report.Ratio(insideRatio), "–", "–"})
	writes := med(func(r herdRound) float64 {
		return float64(r.Herds[tacetName].Usage.Written) / float64(r.Single.Usage.Written)
	})
	refused := 0
	for _, r := range rounds {
		refused += r.Herds[tacetName].Errors + r.Single.Errors + r.Check.Errors
	}
	t.Rows = append(t.Rows, []string{"a single renewal at " + tacetName, "1", "–", "–", "–",
		report.Count(med(func(r herdRound) float64 { return float64(r.Single.Usage.Written) / herdsPerRound }))})
	sec.Tables = []report.Table{t}
	sec.Samples = rounds
	sec.Settings = fmt.Sprintf("%d interleaved rounds of %d herds, medians.", e.Rounds, herdsPerRound)
	sec.Notes = []string{
		size + " connections present one refresh token at the same moment; connections are open and used before the clock starts.",
		"That the head moved once is read from the responses: all are children of one parent, one generation on (else the run stops with an error). " +
			"Writes to storage are compared with those of a single renewal.",
		"Bare signatures are the signing alone, without HTTP around it; `limit` is what a server without a herd's rule pays, `noop` what HTTP alone costs.",
		"Without HTTP: Open and Refresh of the session service, from as many goroutines, on a store of their own. Equal presentations of one second share an access token; each has a refresh token of its own.",
	}
	sec.Targets = []report.Target{
		{What: size + " equal presentations at once: refused or signed out", Reference: "–", Goal: "0", Measured: report.Count(float64(refused)), Met: refused == 0},
		{What: size + " equal presentations at once: writes", Reference: "bytes of one renewal", Goal: "1", Measured: report.Ratio(writes), Met: math.Round(writes) <= 1},
		report.AtMost("CPU of "+size+" equal presentations", size+" bare signatures", 1.2,
			med(func(r herdRound) float64 { return cpuMillis(r.Herds[tacetName]) / r.Signatures })),
		report.AtMost("CPU of "+size+" equal presentations without HTTP", size+" bare signatures", 1.2, insideRatio),
	}
}
