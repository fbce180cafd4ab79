// Package capacity calculates what so many sessions take: the tables of
// docs/capacity.md. It takes what sessions do from the simulation
// (internal/sim/testdata/capacity.txt), what each thing costs from measurements
// (testdata/measured.txt), and what one machine is given from [Machine]; it is
// arithmetic, and the page is written by its test.
package capacity

import (
	"bufio"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Rates are what sessions ask of a server, on average over a week and in the
// busiest quarter of an hour.
type Rates struct {
	Presentations float64 // of refresh tokens, a session and day
	Writes        float64 // a session and day
	SignIns       float64 // a session and day
	Events        float64 // a session and day
	Peak          float64 // busiest to mean
	Active        float64 // share of all sessions that renew in a quarter of an hour, mean
	ActivePeak    float64 // in the busiest one
}

// ParseRates reads the table of the simulation, by the names of its columns.
func ParseRates(text string) (map[string]Rates, error) {
	var columns []string
	rows := map[string][]string{}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		fields := strings.Fields(line)
		if columns == nil { // names of two words
			for i := 0; i+1 < len(fields); i += 2 {
				columns = append(columns, fields[i]+" "+fields[i+1])
			}
			continue
		}
		if len(fields) <= len(columns) {
			return nil, fmt.Errorf("capacity: %q has fewer values than columns", line)
		}
		at := len(fields) - len(columns)
		rows[strings.Join(fields[:at], " ")] = fields[at:]
	}
	out := map[string]Rates{}
	for i, column := range columns {
		var r Rates
		for name, to := range map[string]*float64{
			"presentations a session and day, mean of the week":       &r.Presentations,
			"writes a session and day":                                &r.Writes,
			"sign-ins a session and day":                              &r.SignIns,
			"events a session and day":                                &r.Events,
			"busiest to mean":                                         &r.Peak,
			"sessions that renew within a quarter of an hour, mean %": &r.Active,
			"in the busiest %":                                        &r.ActivePeak,
		} {
			row, ok := rows[name]
			if !ok {
				return nil, fmt.Errorf("capacity: the table has no row %q", name)
			}
			v, err := strconv.ParseFloat(row[i], 64)
			if err != nil {
				return nil, fmt.Errorf("capacity: %q: %w", name, err)
			}
			*to = v
		}
		r.Active, r.ActivePeak = r.Active/100, r.ActivePeak/100
		out[column] = r
	}
	return out, nil
}

// Costs are what was measured.
type Costs struct {
	SessionBytes  float64 // of a session on disk, both indexes included
	RowsPerPage   float64 // sessions on one page of the table
	RenewalWAL    float64 // bytes of a renewal that meets no page for the first time
	PageWAL       float64 // bytes more for the first renewal of a page after a checkpoint
	SignInWAL     float64 // bytes
	EndWAL        float64 // bytes of the end of a session with its event
	DatabaseMicro float64 // processor time of the database for a renewal, µs
	NodeMicro     float64 // processor time of a node for a renewal, µs
}

// ParseCosts reads "name value" lines.
func ParseCosts(text string) (Costs, error) {
	var c Costs
	to := map[string]*float64{"session-bytes": &c.SessionBytes, "rows-per-page": &c.RowsPerPage, "renewal-wal": &c.RenewalWAL, "page-wal": &c.PageWAL,
		"sign-in-wal": &c.SignInWAL, "end-wal": &c.EndWAL, "database-micro": &c.DatabaseMicro, "node-micro": &c.NodeMicro}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		p, known := to[name]
		if !known {
			return c, fmt.Errorf("capacity: %q is not a cost", name)
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil {
			return c, fmt.Errorf("capacity: %s: %w", name, err)
		}
		*p = v
		delete(to, name)
	}
	for name := range to {
		return c, fmt.Errorf("capacity: no value for %q", name)
	}
	return c, nil
}

// Machine is what is given to one server.
type Machine struct {
	Cores       float64 // of a database server, of which at most Use are used at the peak
	NodeCores   float64 // of a node
	Use         float64 // share of processors at the peak
	WAL         float64 // bytes a second that one database server writes at the peak
	Memory      float64 // bytes of a database server that the sessions may take
	Checkpoint  float64 // seconds between two checkpoints
	Connections float64 // of a node to each database
}

// Usual is what the page calculates with.
var Usual = Machine{Cores: 16, NodeCores: 8, Use: 0.5, WAL: 100e6, Memory: 128e9, Checkpoint: 900, Connections: 12}

// Need is what so many sessions take. A second, unless it says otherwise.
type Need struct {
	Sessions                   float64
	Renewals, RenewalsPeak     float64 // that are written
	SignIns, SignInsPeak       float64
	Events, EventsPeak         float64
	Storage                    float64 // bytes
	RenewalWAL, RenewalWALPeak float64 // bytes of one renewal, its share of page images included
	WALPeak                    float64 // bytes a second
	WALDay                     float64 // bytes a day
	DatabaseCores, NodeCores   float64 // busy at the peak
	ByCores, ByWAL, ByMemory   float64 // database servers that each of them would take
	Shards, Nodes              float64
	Connections                float64 // of all nodes to each database
}

const day = 86400

// Calculate is the arithmetic of the page.
func Calculate(sessions float64, r Rates, c Costs, m Machine) Need {
	n := Need{Sessions: sessions}
	n.Renewals = sessions * r.Writes / day
	n.SignIns = sessions * r.SignIns / day
	n.Events = sessions * r.Events / day
	n.RenewalsPeak, n.SignInsPeak, n.EventsPeak = n.Renewals*r.Peak, n.SignIns*r.Peak, n.Events*r.Peak
	n.Storage = sessions * c.SessionBytes
	n.RenewalWAL = c.renewalWAL(r.Writes / day * m.Checkpoint)
	n.RenewalWALPeak = c.renewalWAL(r.Writes / day * r.Peak * m.Checkpoint)
	n.WALPeak = n.RenewalsPeak*n.RenewalWALPeak + n.SignInsPeak*c.SignInWAL + n.EventsPeak*c.EndWAL
	n.WALDay = day * (n.Renewals*n.RenewalWAL + n.SignIns*c.SignInWAL + n.Events*c.EndWAL)
	n.DatabaseCores = n.RenewalsPeak * c.DatabaseMicro / 1e6
	n.NodeCores = n.RenewalsPeak * (r.Presentations / r.Writes) * c.NodeMicro / 1e6
	n.ByCores = n.DatabaseCores / (m.Cores * m.Use)
	n.ByWAL = n.WALPeak / m.WAL
	n.ByMemory = n.Storage / m.Memory
	n.Shards = math.Max(1, math.Ceil(max(n.ByCores, n.ByWAL, n.ByMemory)))
	n.Nodes = math.Max(2, math.Ceil(n.NodeCores/(m.NodeCores*m.Use))) // one must be able to go
	n.Connections = n.Nodes * m.Connections
	return n
}

// renewalWAL is what a renewal writes on average if each session is renewed so many
// times between two checkpoints, scattered over the table (Poisson): the first one
// on each page carries the page.
func (c Costs) renewalWAL(each float64) float64 {
	perPage := each * c.RowsPerPage
	return c.RenewalWAL + c.PageWAL*(1-math.Exp(-perPage))/perPage
}
