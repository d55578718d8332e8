//go:build linux

package rawnet

import (
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"unsafe"
)

// Sockets are non-blocking, so RawSyscall, which does not tell Go's scheduler,
// cannot hold a thread for long.

// Read reads once. It returns 0 and no error at the end of the stream.
func Read(fd int, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// Write writes all of b or fails. b is far smaller than a socket buffer, so a
// short write means that the peer has stopped reading, and the measurement is
// void.
func Write(fd int, b []byte) error {
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return os.NewSyscallError("write", errno)
	}
	if int(n) != len(b) {
		return fmt.Errorf("rawnet: short write: %d of %d bytes", n, len(b))
	}
	return nil
}

// Close closes a descriptor.
func Close(fd int) {
	syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(fd), 0, 0)
}

// Dial connects with a blocking call. Over loopback the call takes no longer
// than the kernel's own work for the handshake.
func Dial(address netip.AddrPort) (int, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: int(address.Port()), Addr: address.Addr().As4()}); err != nil {
		Close(fd)
		return -1, os.NewSyscallError("connect", err)
	}
	if err := prepare(fd); err != nil {
		Close(fd)
		return -1, err
	}
	return fd, nil
}

// prepare makes the socket non-blocking and disables Nagle's algorithm, which
// would delay small writes.
func prepare(fd int) error {
	if err := syscall.SetNonblock(fd, true); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	return os.NewSyscallError("setsockopt", syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1))
}

// Listen binds 127.0.0.1 on a port that the system chooses.
func Listen() (int, netip.AddrPort, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, netip.AddrPort{}, os.NewSyscallError("socket", err)
	}
	loopback := [4]byte{127, 0, 0, 1}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: loopback}); err != nil {
		Close(fd)
		return -1, netip.AddrPort{}, os.NewSyscallError("bind", err)
	}
	if err := syscall.Listen(fd, 4096); err != nil {
		Close(fd)
		return -1, netip.AddrPort{}, os.NewSyscallError("listen", err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		Close(fd)
		return -1, netip.AddrPort{}, os.NewSyscallError("getsockname", err)
	}
	port := name.(*syscall.SockaddrInet4).Port
	return fd, netip.AddrPortFrom(netip.AddrFrom4(loopback), uint16(port)), nil
}

// RaiseFileLimit raises this process's limit of open files to the hard limit,
// but not above MaxFiles.
func RaiseFileLimit() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return os.NewSyscallError("getrlimit", err)
	}
	limit.Cur = min(limit.Max, MaxFiles)
	return os.NewSyscallError("setrlimit", syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
}

// MaxFiles bounds the open files of one process, and thus the tables that are
// indexed by descriptor.
const MaxFiles = 20000
