package proc

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Machine is what figures depend on and must be read with.
type Machine struct {
	CPU       string        `json:"cpu"`
	Cores     int           `json:"cores"`
	MemoryGB  float64       `json:"memory_gb"`
	Kernel    string        `json:"kernel"`
	Go        string        `json:"go"`
	Disk      string        `json:"disk"`     // kind of file system
	FsyncP50  time.Duration `json:"fsync_ns"` // a 28-byte append with fdatasync
	FsyncP99  time.Duration `json:"fsync_p99_ns"`
	LoadStart string        `json:"load"` // load average of 1 minute before the run
}

// String is the machine in one line.
func (m Machine) String() string {
	return fmt.Sprintf("%s, %d cores, %.0f GB, Linux %s, %s; %s, 28 bytes with fdatasync: median %d µs, p99 %d µs; load average before the run %s",
		m.CPU, m.Cores, m.MemoryGB, m.Kernel, m.Go, m.Disk, m.FsyncP50.Microseconds(), m.FsyncP99.Microseconds(), m.LoadStart)
}

// ReadMachine describes this machine and measures the disk under dir. It
// refuses a dir in memory: durability is free there and nothing is learned.
func ReadMachine(dir string) (Machine, error) {
	m := Machine{Cores: runtime.NumCPU(), Go: runtime.Version(), CPU: "unknown CPU"}
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		m.CPU = cpuModel(data)
	}
	if data, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.LoadStart, _, _ = strings.Cut(string(data), " ")
	}
	if data, err := os.ReadFile("/proc/meminfo"); err == nil {
		if kb, err := parseField(data, "MemTotal"); err == nil {
			m.MemoryGB = float64(kb) / (1 << 20)
		}
	}
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return m, err
	}
	m.Kernel = unix.ByteSliceToString(uts.Release[:])
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return m, err
	}
	if m.Disk = fsNames[int64(fs.Type)]; m.Disk == "" {
		m.Disk = fmt.Sprintf("file system %#x", fs.Type)
	}
	if fs.Type == unix.TMPFS_MAGIC {
		return m, fmt.Errorf("%s is in memory, where durable writes cost nothing: choose a directory on a disk with -dir", dir)
	}
	var err error
	m.FsyncP50, m.FsyncP99, err = measureFsync(dir, 400)
	return m, err
}

var fsNames = map[int64]string{
	unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs",
	unix.OVERLAYFS_SUPER_MAGIC: "overlayfs", unix.TMPFS_MAGIC: "tmpfs", 0x2fc12fc1: "zfs",
}

func cpuModel(cpuinfo []byte) string {
	lines := bufio.NewScanner(bytes.NewReader(cpuinfo))
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown CPU"
}

// measureFsync appends 28 bytes n times, each made durable, to a file in dir.
func measureFsync(dir string, n int) (p50, p99 time.Duration, err error) {
	f, err := os.CreateTemp(dir, "fsync-*")
	if err != nil {
		return 0, 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	took := make([]time.Duration, n)
	rec := make([]byte, 28)
	for i := range took {
		start := time.Now()
		if _, err := f.Write(rec); err != nil {
			return 0, 0, err
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return 0, 0, err
		}
		took[i] = time.Since(start)
	}
	slices.Sort(took)
	return took[n/2], took[n*99/100], nil
}
