package report

import (
	"bytes"
	"fmt"
	"strings"
)

// Markdown is the page of results: first the targets, then each section.
func Markdown(sections []Section) []byte {
	var b bytes.Buffer
	b.WriteString("# Results\n\nWritten by `make bench`; how it is measured and how to read it: [bench/README.md](../README.md).\n" +
		"Compare ratios, not times: they are to the reference server of the same run.\n")
	var targets [][]string
	for _, s := range sections {
		for _, t := range s.Targets {
			met := "no"
			if t.Met {
				met = "yes"
			}
			targets = append(targets, []string{t.What, t.Reference, t.Goal, t.Measured, met})
		}
	}
	if len(targets) > 0 {
		b.WriteString("\n## Targets\n")
		Table{Header: []string{"what", "reference", "target", "measured", "met"}, Rows: targets}.write(&b)
	}
	for _, s := range sections {
		s.write(&b)
	}
	return b.Bytes()
}

func (s *Section) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "\n## %s\n\n%s. %s.\n%s\n", s.Title, s.When.UTC().Format("2 January 2006, 15:04 UTC"), s.Machine, s.Settings)
	for _, n := range s.Notes {
		fmt.Fprintf(b, "\n- %s", n)
	}
	if len(s.Notes) > 0 {
		b.WriteString("\n")
	}
	for _, c := range s.Charts {
		fmt.Fprintf(b, "\n![%s](%s.svg)\n", c.Title, c.Name)
	}
	for _, t := range s.Tables {
		t.write(b)
	}
}

func (t Table) write(b *bytes.Buffer) {
	if t.Title != "" {
		fmt.Fprintf(b, "\n**%s**\n", t.Title)
	}
	b.WriteString("\n")
	row := func(cells []string) {
		for _, c := range cells {
			b.WriteString("| " + strings.ReplaceAll(c, "|", "\\|") + " ")
		}
		b.WriteString("|\n")
	}
	row(t.Header)
	b.WriteString("| --- |" + strings.Repeat(" ---: |", len(t.Header)-1) + "\n")
	for _, r := range t.Rows {
		row(r)
	}
}
