//go:build unix

package netpoll

import "syscall"

// DescriptorLimit returns how many descriptors this process may have open; 0 if
// that is unknown or unlimited.
func DescriptorLimit() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || uint64(limit.Cur) >= 1<<31 {
		return 0
	}
	return int(limit.Cur)
}

// NextDescriptor returns the number that the next descriptor of this process
// gets, which is the lowest free one; -1 if none is free.
func NextDescriptor() int {
	fd, err := syscall.Open("/", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	_ = syscall.Close(fd)
	return fd
}
