package capacity

import (
	"bytes"
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"text/template"
)

var update = flag.Bool("update", false, "write docs/capacity.md")

const (
	page  = "../../docs/capacity.md"
	rates = "../sim/testdata/capacity.txt"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// round is a number to three digits, with commas.
func round(v float64) string {
	if v == 0 {
		return "0"
	}
	scale := math.Pow(10, 2-math.Floor(math.Log10(math.Abs(v))))
	v = math.Round(v*scale) / scale
	text := strconv.FormatFloat(v, 'f', -1, 64)
	whole, fraction, _ := strings.Cut(text, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if fraction != "" {
		return whole + "." + fraction
	}
	return whole
}

// bytesText is a number of bytes with a unit of powers of ten.
func bytesText(v float64) string {
	for _, unit := range []string{"B", "kB", "MB", "GB", "TB"} {
		if v < 1000 || unit == "TB" {
			return round(v) + " " + unit
		}
		v /= 1000
	}
	return ""
}

// TestThePageIsCalculated: docs/capacity.md is what its template, the simulation and
// the measurements make of it. After a change of one of them: go test
// ./internal/capacity -update
func TestThePageIsCalculated(t *testing.T) {
	all, err := ParseRates(read(t, rates))
	if err != nil {
		t.Fatal(err)
	}
	costs, err := ParseCosts(read(t, "testdata/measured.txt"))
	if err != nil {
		t.Fatal(err)
	}
	usual := all["SDK 15m"]
	sizes := []struct {
		Name     string
		Sessions float64
	}{{"1 million", 1e6}, {"100 million", 1e8}, {"1 billion", 1e9}}
	tmpl, err := template.New("page").Funcs(template.FuncMap{
		"n": round, "b": bytesText, "over": func(a, b float64) float64 { return a / b },
		"pct": func(v float64) string { return round(100*v) + " %" },
		"row": func(f string) (string, error) { // one line of the table of sizes
			var cells []string
			for _, s := range sizes {
				need := Calculate(s.Sessions, usual, costs, Usual)
				cell, err := template.New("cell").Funcs(template.FuncMap{"n": round, "b": bytesText}).Parse("{{" + f + "}}")
				if err != nil {
					return "", err
				}
				var out strings.Builder
				if err := cell.Execute(&out, need); err != nil {
					return "", err
				}
				cells = append(cells, out.String())
			}
			return strings.Join(cells, " | "), nil
		},
		"calculate": func(column string, sessions float64) Need { return Calculate(sessions, all[column], costs, Usual) },
	}).Parse(read(t, "testdata/page.md.tmpl"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := tmpl.Execute(&out, map[string]any{"Rates": usual, "All": all, "Costs": costs, "Machine": Usual,
		"Columns": []string{"SDK 5m", "SDK 15m", "SDK 60m", "others 15m"}}); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(page, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(t, page); got != out.String() {
		t.Errorf("%s is older than what it is calculated from: run go test ./internal/capacity -update, and look at what has changed", page)
	}
}

// TestShareOfPageImages against renewals that are thrown at pages.
func TestShareOfPageImages(t *testing.T) {
	c := Costs{RowsPerPage: 40, RenewalWAL: 200, PageWAL: 7000}
	random := rand.New(rand.NewPCG(3, 4))
	const pages = 20_000
	for _, each := range []float64{0.001, 0.01, 0.1, 1} {
		seen := map[int]bool{}
		n := int(each * c.RowsPerPage * pages)
		for range n {
			seen[random.IntN(pages)] = true
		}
		want := c.RenewalWAL + c.PageWAL*float64(len(seen))/float64(n)
		if got := c.renewalWAL(each); math.Abs(got-want) > 0.02*want {
			t.Errorf("%g renewals of each session between checkpoints: %.0f bytes each, thrown %.0f", each, got, want)
		}
	}
}

// TestMoreTakesMore: nothing gets less when sessions or costs grow.
func TestMoreTakesMore(t *testing.T) {
	r := Rates{Presentations: 10, Writes: 9, SignIns: 0.02, Events: 0.02, Peak: 3}
	c := Costs{SessionBytes: 250, RowsPerPage: 45, RenewalWAL: 200, PageWAL: 7000, SignInWAL: 900, EndWAL: 1500, DatabaseMicro: 40, NodeMicro: 100}
	last := Calculate(1e5, r, c, Usual)
	for n := 2e5; n < 4e9; n *= 2 {
		need := Calculate(n, r, c, Usual)
		if need.Shards < last.Shards || need.Nodes < last.Nodes || need.WALPeak <= last.WALPeak || need.Storage <= last.Storage || need.DatabaseCores <= last.DatabaseCores {
			t.Errorf("%g sessions take less than half of them: %+v, %+v", n, need, last)
		}
		if math.Abs(need.RenewalWAL-last.RenewalWAL) > 1e-6 {
			t.Errorf("a renewal costs more in a larger table: %+v", need)
		}
		last = need
	}
}

func TestInputsThatAreWrongAreRefused(t *testing.T) {
	for text, says := range map[string]string{
		"session-bytes x\n": "session-bytes", "nothing 1\n": "not a cost", "session-bytes 250\n": "no value for",
	} {
		if _, err := ParseCosts(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for text, says := range map[string]string{
		"SDK 15m\n": "no row", "SDK 15m others 5m\nbusiest 3\n": "fewer values", "SDK 15m\nbusiest to mean 3\n": "no row",
	} {
		if _, err := ParseRates(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
