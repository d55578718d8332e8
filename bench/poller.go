//go:build linux

package main

import (
	"os"
	"syscall"
	"time"
	"unsafe"
)

// A poller is an epoll descriptor whose events carry the descriptor they are
// about. Level-triggered: what is left unread is reported again.
type poller struct {
	fd     int
	events [512]syscall.EpollEvent
	// raw waits without telling Go's scheduler, which saves a hand-over of the
	// processor on each wait. Only for a process that has nothing else to run.
	raw bool
}

func newPoller(raw bool) (*poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	return &poller{fd: fd, raw: raw}, nil
}

func (p *poller) close() { closeSocket(p.fd) }

// add reports fd when it is readable or its peer has gone.
func (p *poller) add(fd int) error {
	event := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLRDHUP, Fd: int32(fd)}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_CTL, uintptr(p.fd), syscall.EPOLL_CTL_ADD,
		uintptr(fd), uintptr(unsafe.Pointer(&event)), 0, 0)
	if errno != 0 {
		return os.NewSyscallError("epoll_ctl", errno)
	}
	return nil
}

// wait returns the descriptors that are ready, at most timeout later (negative:
// no limit). The slice is good until the next call.
func (p *poller) wait(timeout time.Duration) ([]syscall.EpollEvent, error) {
	n, errno := p.poll(syscall.RawSyscall6, 0)
	if n == 0 && errno == 0 && timeout != 0 {
		call := syscall.Syscall6
		if p.raw {
			call = syscall.RawSyscall6
		}
		// Round up: a wait that ends before its time would spin.
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

func (p *poller) poll(call syscall6, milliseconds int) (int, syscall.Errno) {
	n, _, errno := call(syscall.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])),
		uintptr(len(p.events)), uintptr(milliseconds), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
