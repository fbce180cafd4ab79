package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/bench/report"
	"github.com/tacet-dev/tacet/bench/suite"
)

func TestParse(t *testing.T) {
	o, err := parse([]string{"-suite", "verify,size", "-servers", "limit", "-k", "1, 16", "-rounds", "2"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.suites) != 2 || o.suites[1].Name != "size" || len(o.Peers) != 1 || len(o.Clients) != 2 || o.Clients[1] != 16 || o.Rounds != 2 {
		t.Errorf("%+v", o)
	}
	o, err = parse([]string{"-quick", "-out", "x", "-duration", "3s"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if o.Rounds != 1 || o.Duration != 3*time.Second || o.Sessions > 10_000 || len(o.suites) < 4 {
		t.Errorf("-quick: %+v", o)
	}
}

func TestParseRefusesMistakesInWords(t *testing.T) {
	for args, want := range map[string]string{
		"-suite renewal":    "renewals, herd",
		"-servers nginx":    "noop, limit",
		"-k 0":              "positive",
		"-k 1,x":            "positive",
		"-rounds 0":         "positive",
		"-quick":            "-out",
		"renewals":          "unexpected argument",
		"-duration forever": "duration",
	} {
		_, err := parse(strings.Fields(args), io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", args, err, want)
		}
	}
}

// TestSmoke runs the references for a moment, as processes, with everything
// that a real run does. It says nothing about speed.
func TestSmoke(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	out := t.TempDir()
	var said bytes.Buffer
	err := run(ctx, []string{"-quick", "-suite", "renewals,verify", "-servers", "noop,limit", "-k", "1,3",
		"-duration", "40ms", "-warmup", "10ms", "-out", out, "-dir", diskDir(t)}, &said, io.Discard)
	if err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	sections, err := report.Load(out)
	if err != nil {
		t.Fatal(err)
	}
	if len(sections) != 2 || sections[0].Name != "renewals" || sections[1].Name != "verify" {
		t.Fatalf("%d sections", len(sections))
	}
	rows := sections[0].Tables[0].Rows
	if len(rows) != 4 { // two servers, two numbers of clients
		t.Errorf("%d rows: %v", len(rows), rows)
	}
	for _, r := range rows {
		if errors := r[len(r)-1]; errors != "0" {
			t.Errorf("%s had %s errors\n%s", r[0], errors, said.String())
		}
	}
	if len(sections[1].Targets) != 3 {
		t.Errorf("targets of verify: %v", sections[1].Targets)
	}
	for _, c := range sections[0].Charts {
		if info, err := os.Stat(filepath.Join(out, c.Name+".svg")); err != nil || info.Size() < 500 {
			t.Errorf("plot %s: %v", c.Name, err)
		}
	}
}

// TestEverySuite runs all of them to the end, as small as they can be, with all
// servers, peers and PostgreSQL among them. It says nothing about speed.
func TestEverySuite(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and starts everything")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	out := t.TempDir()
	var said bytes.Buffer
	err := run(ctx, []string{"-quick", "-k", "2", "-duration", "40ms", "-warmup", "10ms", "-sessions", "500", "-million", "500", "-herd", "20",
		"-out", out, "-dir", diskDir(t)}, &said, io.Discard)
	if err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	sections, err := report.Load(out)
	if err != nil {
		t.Fatal(err)
	}
	if len(sections) != len(suite.All) {
		t.Errorf("%d sections of %d suites", len(sections), len(suite.All))
	}
	for _, s := range sections {
		if len(s.Tables) == 0 {
			t.Errorf("%s has measured nothing", s.Name)
		}
		for _, table := range s.Tables {
			for _, row := range table.Rows {
				if len(row) != len(table.Header) {
					t.Errorf("%s: %d cells under %d headers: %v", s.Name, len(row), len(table.Header), row)
				}
			}
		}
	}
	if rows := sections[0].Tables[0].Rows; len(rows) != len(defaultServers) {
		t.Errorf("%d rows of %d servers: %v", len(rows), len(defaultServers), rows)
	}
}

// diskDir is a directory that is not in memory, or the test is skipped.
func diskDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(".", "smoke-*")
	if err != nil {
		t.Skip("cannot write here: ", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
