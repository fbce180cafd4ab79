// Package proc starts the processes of a benchmark and reads what they cost.
// It reads /proc and therefore works on Linux only.
package proc

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Usage is what a process has consumed since it started, except RSS and Peak,
// which are its resident memory now and at its highest, in bytes. Written is
// what it caused to be sent to storage, in bytes; sockets do not count.
type Usage struct {
	User    time.Duration `json:"user_ns"`
	System  time.Duration `json:"system_ns"`
	RSS     int64         `json:"rss"`
	Peak    int64         `json:"peak"`
	Written int64         `json:"written"`
}

// CPU is user and system time together.
func (u Usage) CPU() time.Duration { return u.User + u.System }

// Since is what was consumed between before and u; memory is that of u.
func (u Usage) Since(before Usage) Usage {
	u.User -= before.User
	u.System -= before.System
	u.Written -= before.Written
	return u
}

// tick is the unit of the times in /proc/PID/stat. USER_HZ has been 100 in the
// interface of Linux on every architecture that Go supports.
const tick = time.Second / 100

// ReadUsage adds up the usage of processes.
func ReadUsage(pids ...int) (Usage, error) {
	var sum Usage
	for _, pid := range pids {
		if err := sum.add(pid); err != nil {
			return Usage{}, fmt.Errorf("usage of process %d: %w", pid, err)
		}
	}
	return sum, nil
}

func (u *Usage) add(pid int) error {
	dir := "/proc/" + strconv.Itoa(pid) + "/"
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		return err
	}
	user, system, err := parseStat(stat)
	if err != nil {
		return err
	}
	u.User += user
	u.System += system
	for _, f := range []struct {
		file, field string
		scale       int64
		to          *int64
	}{
		{"status", "VmRSS", 1 << 10, &u.RSS},
		{"status", "VmHWM", 1 << 10, &u.Peak},
		{"io", "write_bytes", 1, &u.Written},
	} {
		data, err := os.ReadFile(dir + f.file)
		if err != nil {
			return err
		}
		n, err := parseField(data, f.field)
		if err != nil {
			return err
		}
		*f.to += n * f.scale
	}
	return nil
}

// parseStat takes utime and stime, fields 14 and 15 (proc(5)). The second field
// is a name in parentheses that may hold anything.
func parseStat(stat []byte) (user, system time.Duration, err error) {
	_, after, ok := bytes.Cut(stat[max(0, bytes.LastIndexByte(stat, ')')):], []byte(") "))
	fields := strings.Fields(string(after))
	if !ok || len(fields) < 13 {
		return 0, 0, fmt.Errorf("stat has an unknown form: %q", stat)
	}
	for _, f := range []struct {
		text string
		to   *time.Duration
	}{{fields[11], &user}, {fields[12], &system}} {
		n, err := strconv.ParseInt(f.text, 10, 64)
		if err != nil {
			return 0, 0, err
		}
		*f.to = time.Duration(n) * tick
	}
	return user, system, nil
}

// parseField takes the number behind "name:" from lines of "name: number unit".
func parseField(data []byte, name string) (int64, error) {
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), name+":"); ok {
			if fields := strings.Fields(rest); len(fields) > 0 {
				return strconv.ParseInt(fields[0], 10, 64)
			}
		}
	}
	return 0, fmt.Errorf("no field %s", name)
}
