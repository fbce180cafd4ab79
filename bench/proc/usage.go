// Package proc starts the processes of a benchmark and reads what they cost.
// It reads /proc and therefore works on Linux only.
package proc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Usage is what a process and its children, also those that have ended, have
// consumed since it started, except RSS and Peak, which are their resident
// memory now and at its highest, in bytes; memory that children share with
// others is not counted again. Written is what was caused to be sent to storage,
// in bytes; sockets do not count.
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

// Plus adds up the usage of processes.
func (u Usage) Plus(v Usage) Usage {
	return Usage{u.User + v.User, u.System + v.System, u.RSS + v.RSS, u.Peak + v.Peak, u.Written + v.Written}
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
	if err := u.addOne(pid, "VmRSS", "VmHWM"); err != nil {
		return err
	}
	for _, child := range children(pid) {
		// One that has just ended is counted with its parent from now on; while it
		// waits for that, it has no memory.
		err := u.addOne(child, "RssAnon", "RssAnon")
		if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ESRCH) && !errors.Is(err, errNoField) {
			return err
		}
	}
	return nil
}

// children of a process, such as PostgreSQL's backends. They have none.
func children(pid int) (list []int) {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid)) // a kernel without this file: none are seen
	for _, f := range strings.Fields(string(data)) {
		if n, err := strconv.Atoi(f); err == nil {
			list = append(list, n)
		}
	}
	return list
}

// addOne adds one process, with its children that have ended. rss and peak are
// the fields that hold its memory.
func (u *Usage) addOne(pid int, rss, peak string) error {
	dir := "/proc/" + strconv.Itoa(pid) + "/"
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		return err
	}
	user, system, err := parseStat(stat)
	if err != nil {
		return err
	}
	status, err := os.ReadFile(dir + "status")
	if err != nil {
		return err
	}
	io, err := os.ReadFile(dir + "io")
	if err != nil {
		return err
	}
	var one Usage
	for _, f := range []struct {
		file  []byte
		field string
		scale int64
		to    *int64
	}{{status, rss, 1 << 10, &one.RSS}, {status, peak, 1 << 10, &one.Peak}, {io, "write_bytes", 1, &one.Written}} {
		n, err := parseField(f.file, f.field)
		if err != nil {
			return err
		}
		*f.to = n * f.scale
	}
	one.User, one.System = user, system
	*u = u.Plus(one)
	return nil
}

// parseStat takes utime and stime, fields 14 and 15, and those of children that
// have ended, 16 and 17 (proc(5)). The second field is a name in parentheses
// that may hold anything.
func parseStat(stat []byte) (user, system time.Duration, err error) {
	_, after, ok := bytes.Cut(stat[max(0, bytes.LastIndexByte(stat, ')')):], []byte(") "))
	fields := strings.Fields(string(after))
	if !ok || len(fields) < 15 {
		return 0, 0, fmt.Errorf("stat has an unknown form: %q", stat)
	}
	for _, f := range []struct {
		text string
		to   *time.Duration
	}{{fields[11], &user}, {fields[12], &system}, {fields[13], &user}, {fields[14], &system}} {
		n, err := strconv.ParseInt(f.text, 10, 64)
		if err != nil {
			return 0, 0, err
		}
		*f.to += time.Duration(n) * tick
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
	return 0, fmt.Errorf("%w %s", errNoField, name)
}

var errNoField = errors.New("no field")
