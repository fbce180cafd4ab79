// Package report keeps what the suites measured and writes it down: one JSON
// file and plots per suite, and one Markdown page over all of them.
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tacet-dev/tacet/bench/proc"
)

// Section is the result of one suite. Suites may be run one at a time, so each
// carries its own date and machine.
type Section struct {
	Name     string       `json:"name"` // of the suite and its files
	Title    string       `json:"title"`
	Order    int          `json:"order"` // place on the page
	When     time.Time    `json:"when"`
	Machine  proc.Machine `json:"machine"`
	Settings string       `json:"settings"` // how long, how often
	Notes    []string     `json:"notes"`    // what the figures mean
	Targets  []Target     `json:"targets"`
	Tables   []Table      `json:"tables"`
	Charts   []Chart      `json:"charts"`
	Samples  any          `json:"samples"` // every single measurement
}

// Target is one line of the table of targets. Ratio is measured / reference
// unless What says otherwise.
type Target struct {
	What      string `json:"what"`
	Reference string `json:"reference"`
	Goal      string `json:"goal"`
	Measured  string `json:"measured"`
	Met       bool   `json:"met"`
}

// AtMost and AtLeast make a target that is a bound on a ratio.
func AtMost(what, reference string, bound, ratio float64) Target {
	return Target{what, reference, "≤ " + Ratio(bound), Ratio(ratio), ratio <= bound}
}

// AtLeast: see [AtMost].
func AtLeast(what, reference string, bound, ratio float64) Target {
	return Target{what, reference, "≥ " + Ratio(bound), Ratio(ratio), ratio >= bound}
}

// Table has a header row and rows of ready-made cells; all but the first
// column are numbers.
type Table struct {
	Title  string     `json:"title"`
	Header []string   `json:"header"`
	Rows   [][]string `json:"rows"`
}

// Save writes the section's JSON and plots into dir and then the page over all
// sections that dir holds.
func (s *Section) Save(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, s.Name+".json"), append(data, '\n'), 0o644); err != nil {
		return err
	}
	for _, c := range s.Charts {
		if err := os.WriteFile(filepath.Join(dir, c.Name+".svg"), c.SVG(), 0o644); err != nil {
			return err
		}
	}
	sections, err := Load(dir)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "README.md"), Markdown(sections), 0o644)
}

// Load reads all sections in dir, in their order on the page.
func Load(dir string) ([]Section, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errors.New("no results in " + dir)
	}
	sections := make([]Section, len(files))
	for i, f := range files {
		data, err := os.ReadFile(f)
		if err == nil {
			err = json.Unmarshal(data, &sections[i])
		}
		if err != nil {
			return nil, fmt.Errorf("results of an earlier run, %s: %w (delete it, or choose another directory with -out)", f, err)
		}
	}
	slices.SortFunc(sections, func(a, b Section) int { return a.Order - b.Order })
	return sections, nil
}
