//go:build linux || darwin

package main

import "syscall"

// raiseFileLimit raises the soft limit of open files to the hard one and returns
// it; zero means unlimited or unknown. Go's runtime raises it too, but gives its
// children the old limit back unless the program has set one itself.
func raiseFileLimit() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	if limit.Cur < limit.Max {
		// Darwin refuses more than kern.maxfilesperproc even below the hard limit;
		// the soft limit then stays as it was.
		raised := syscall.Rlimit{Cur: limit.Max, Max: limit.Max}
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
			limit = raised
		}
	}
	// RLIM_INFINITY is all bits set on Linux and all but the sign on Darwin.
	if limit.Cur >= 1<<63-1 {
		return 0
	}
	return limit.Cur
}
