//go:build linux || darwin

package serve

import "syscall"

// raiseFileLimit raises the soft limit of open files to the hard limit and
// returns it; zero means unlimited or unknown. Go's runtime raises it, too, but
// restores the old limit for child processes unless the program has set one.
func raiseFileLimit() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	if limit.Cur < limit.Max {
		// Darwin refuses more than kern.maxfilesperproc, even below the hard
		// limit. The soft limit then stays unchanged.
		raised := syscall.Rlimit{Cur: limit.Max, Max: limit.Max}
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
			limit = raised
		}
	}
	// RLIM_INFINITY has all bits set on Linux, and all but the sign on Darwin.
	if limit.Cur >= 1<<63-1 {
		return 0
	}
	return limit.Cur
}
