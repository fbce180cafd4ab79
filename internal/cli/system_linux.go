package cli

import "golang.org/x/sys/unix"

// freeSpace is how many bytes an ordinary user may still write below dir.
func freeSpace(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return st.Bavail * uint64(st.Bsize), nil
}

// clockSynchronised asks the kernel whether something keeps the clock right.
func clockSynchronised() (synced, known bool) {
	var tx unix.Timex
	state, err := unix.Adjtimex(&tx)
	return state != unix.TIME_ERROR, err == nil
}
