//go:build linux

package main

import (
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"unsafe"
)

// Sockets are non-blocking, so that reading and writing them without telling Go's
// scheduler (RawSyscall) cannot hold a thread for long.

// readSocket returns 0 and no error at the end of the stream.
func readSocket(fd int, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// writeSocket writes all of b or fails: what is written here is far smaller than
// a socket buffer, so a socket that does not take it means that a peer has stopped
// reading, and the figures would be worth nothing.
func writeSocket(fd int, b []byte) error {
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return os.NewSyscallError("write", errno)
	}
	if int(n) != len(b) {
		return fmt.Errorf("bench: the socket took %d of %d bytes", n, len(b))
	}
	return nil
}

func closeSocket(fd int) {
	syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(fd), 0, 0)
}

// dial connects by a blocking call: over loopback it lasts as long as the
// kernel's own work for the handshake.
func dial(address netip.AddrPort) (int, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: int(address.Port()), Addr: address.Addr().As4()}); err != nil {
		closeSocket(fd)
		return -1, os.NewSyscallError("connect", err)
	}
	if err := prepare(fd); err != nil {
		closeSocket(fd)
		return -1, err
	}
	return fd, nil
}

// prepare makes the socket non-blocking and keeps small writes from waiting for
// one another.
func prepare(fd int) error {
	if err := syscall.SetNonblock(fd, true); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	return os.NewSyscallError("setsockopt", syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1))
}

// listen binds 127.0.0.1 on a port that the system chooses.
func listen() (int, netip.AddrPort, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, netip.AddrPort{}, os.NewSyscallError("socket", err)
	}
	loopback := [4]byte{127, 0, 0, 1}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: loopback}); err != nil {
		closeSocket(fd)
		return -1, netip.AddrPort{}, os.NewSyscallError("bind", err)
	}
	if err := syscall.Listen(fd, 4096); err != nil {
		closeSocket(fd)
		return -1, netip.AddrPort{}, os.NewSyscallError("listen", err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		closeSocket(fd)
		return -1, netip.AddrPort{}, os.NewSyscallError("getsockname", err)
	}
	port := name.(*syscall.SockaddrInet4).Port
	return fd, netip.AddrPortFrom(netip.AddrFrom4(loopback), uint16(port)), nil
}

// raiseFileLimit raises this process's limit of open files to the hard limit, at
// most to what one process of a benchmark may hold.
func raiseFileLimit() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return os.NewSyscallError("getrlimit", err)
	}
	limit.Cur = min(limit.Max, maxFiles)
	return os.NewSyscallError("setrlimit", syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
}

// maxFiles bounds the open files of one process, and with them the tables that
// are indexed by descriptor.
const maxFiles = 20000
