package report

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		xs   []float64
		want float64
	}{{[]float64{7}, 7}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := Median(c.xs); got != c.want {
			t.Errorf("Median(%v) = %v, want %v", c.xs, got, c.want)
		}
	}
	if !math.IsNaN(Median(nil)) {
		t.Error("the median of nothing is a number")
	}
}

func TestMedianHasHalfOnEachSide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		xs := rapid.SliceOfN(rapid.Float64Range(-1e6, 1e6), 1, 50).Draw(t, "xs")
		before := append([]float64(nil), xs...)
		m, below, above := Median(xs), 0, 0
		for i, x := range xs {
			if x < m {
				below++
			}
			if x > m {
				above++
			}
			if x != before[i] {
				t.Fatal("Median reordered its argument")
			}
		}
		if below > len(xs)/2 || above > len(xs)/2 {
			t.Fatalf("%d below and %d above %v of %d", below, above, m, len(xs))
		}
	})
}

func TestRatiosAreTakenRoundByRound(t *testing.T) {
	// The machine is ten times slower in the second round, for both.
	got := Ratios([]float64{80, 8, 82}, []float64{100, 10, 100})
	if m := Median(got); math.Abs(m-0.8) > 1e-9 {
		t.Errorf("median ratio %v of %v, want 0.8", m, got)
	}
}

func TestNumbersAsShown(t *testing.T) {
	for got, want := range map[string]string{
		Count(1234567.4): "1,234,567", Count(999.5): "1,000", Count(-1234): "-1,234", Count(0.2): "0", Count(math.NaN()): "–",
		Ratio(0.764): "0.76 ×", Ratio(0.0381): "0.038 ×", Ratio(52.4): "52 ×",
		Millis(1_700_000): "1.70", Millis(106_000_000): "106.0", MB(3 << 19): "1.5",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestTargetsKnowWhetherTheyAreMet(t *testing.T) {
	if AtLeast("x", "y", 0.8, 0.79).Met || !AtLeast("x", "y", 0.8, 0.8).Met {
		t.Error("AtLeast")
	}
	if AtMost("x", "y", 1.3, 1.31).Met || !AtMost("x", "y", 1.3, 1.3).Met {
		t.Error("AtMost")
	}
}

func wellFormed(t rapid.TB, doc string) {
	t.Helper()
	for d := xml.NewDecoder(strings.NewReader(doc)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("not XML: %v\n%s", err, doc)
		}
	}
}

func TestChartsAreWellFormedAndInsideTheirFrame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Chart{
			Title:  rapid.StringMatching(`[a-z<&"µ]{0,12}`).Draw(t, "title"),
			Groups: []string{"K=1", "K=<2>"},
			Log:    rapid.Bool().Draw(t, "log"),
		}
		for range rapid.IntRange(0, 4).Draw(t, "series") {
			c.Series = append(c.Series, Series{"a&b", rapid.SliceOfN(rapid.Float64Range(0, 1e9), 1, 3).Draw(t, "values")})
		}
		svg := string(c.SVG())
		wellFormed(t, svg)
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") || strings.Contains(svg, `height="-`) || strings.Contains(svg, `y="-`) {
			t.Fatalf("a bar is outside:\n%s", svg)
		}
	})
}

func TestSaveKeepsTheOtherSections(t *testing.T) {
	dir := t.TempDir()
	section := func(name string, order int) *Section {
		return &Section{
			Name: name, Title: "About " + name, Order: order, When: time.Date(2026, 11, 21, 20, 0, 0, 0, time.UTC),
			Targets: []Target{AtLeast(name+" per second", "`limit`", 0.8, 0.9)},
			Tables:  []Table{{Header: []string{"server", "n"}, Rows: [][]string{{"a|b", "1"}}}},
			Charts:  []Chart{{Name: name, Title: name, Groups: []string{"g"}, Series: []Series{{"s", []float64{1}}}}},
		}
	}
	if err := section("late", 2).Save(dir); err != nil {
		t.Fatal(err)
	}
	if err := section("early", 1).Save(dir); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| late per second | `limit` | ≥ 0.80 × | 0.90 × | yes |", "| a\\|b | 1 |", "![late](late.svg)", "21 November 2026"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	if e, l := strings.Index(string(page), "About early"), strings.Index(string(page), "About late"); e < 0 || l < e {
		t.Error("sections are missing or out of order")
	}
	svg, err := os.ReadFile(filepath.Join(dir, "early.svg"))
	if err != nil {
		t.Fatal(err)
	}
	wellFormed(t, string(svg))
	os.WriteFile(filepath.Join(dir, "broken.json"), []byte("{"), 0o644)
	if err := section("early", 1).Save(dir); err == nil || !strings.Contains(err.Error(), "broken.json") {
		t.Errorf("err = %v, want one that names the broken file", err)
	}
}
