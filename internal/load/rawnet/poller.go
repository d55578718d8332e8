//go:build linux

package rawnet

import (
	"os"
	"syscall"
	"time"
	"unsafe"
)

// A Poller is a level-triggered epoll descriptor. Each event carries the
// descriptor that it is about.
type Poller struct {
	fd     int
	events [512]syscall.EpollEvent
	// raw waits without telling Go's scheduler, which saves a hand-over of the
	// processor per wait. Use it only in a process with no other goroutine to
	// run.
	raw bool
}

// NewPoller opens an epoll descriptor. With raw, Wait blocks without telling
// Go's scheduler: the process must have no other goroutine to run.
func NewPoller(raw bool) (*Poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	return &Poller{fd: fd, raw: raw}, nil
}

// Close closes the epoll descriptor.
func (p *Poller) Close() { Close(p.fd) }

// Add watches fd for input and for the close of its peer.
func (p *Poller) Add(fd int) error {
	event := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLRDHUP, Fd: int32(fd)}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_CTL, uintptr(p.fd), syscall.EPOLL_CTL_ADD,
		uintptr(fd), uintptr(unsafe.Pointer(&event)), 0, 0)
	if errno != 0 {
		return os.NewSyscallError("epoll_ctl", errno)
	}
	return nil
}

// Wait returns the ready descriptors, or none after timeout. A negative timeout
// is no limit. The slice is valid until the next call.
func (p *Poller) Wait(timeout time.Duration) ([]syscall.EpollEvent, error) {
	n, errno := p.poll(syscall.RawSyscall6, 0)
	if n == 0 && errno == 0 && timeout != 0 {
		call := syscall.Syscall6
		if p.raw {
			call = syscall.RawSyscall6
		}
		// Round up: a wait that returns too early would spin.
		milliseconds := -1
		if timeout > 0 {
			milliseconds = int((timeout + time.Millisecond - 1) / time.Millisecond)
		}
		n, errno = p.poll(call, milliseconds)
	}
	if errno == syscall.EINTR {
		return nil, nil
	}
	if errno != 0 {
		return nil, os.NewSyscallError("epoll_pwait", errno)
	}
	return p.events[:n], nil
}

type syscall6 func(trap, a1, a2, a3, a4, a5, a6 uintptr) (r1, r2 uintptr, err syscall.Errno)

func (p *Poller) poll(call syscall6, milliseconds int) (int, syscall.Errno) {
	n, _, errno := call(syscall.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])),
		uintptr(len(p.events)), uintptr(milliseconds), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
