package node

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

const haveEpoll = true

// poller is epoll; see poller.go for the contract.
type poller struct {
	epoll  int
	wakeup int // an eventfd, edge-triggered, so it need never be read
	file   *os.File
	raw    syscall.RawConn
	awake  atomic.Bool

	deadline time.Time // as last given to file
	buffer   [maxEvents]syscall.EpollEvent
	n        int
	err      error
	poll     func(fd uintptr) bool // poll is allocated once, not per wait
}

// edges is what a socket is registered for: edge-triggered, so one epoll_ctl
// serves the connection's whole life.
const edges = syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLRDHUP | -syscall.EPOLLET&0xffffffff

func newPoller() (*poller, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	// Go's poller takes only descriptors that are marked non-blocking.
	if err := syscall.SetNonblock(epoll, true); err != nil {
		_ = syscall.Close(epoll)
		return nil, os.NewSyscallError("fcntl", err)
	}
	p := &poller{epoll: epoll, wakeup: -1, file: os.NewFile(uintptr(epoll), "epoll")}
	if p.raw, err = p.file.SyscallConn(); err != nil {
		return nil, errors.Join(err, p.close())
	}
	wakeup, _, errno := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if errno != 0 {
		return nil, errors.Join(os.NewSyscallError("eventfd2", errno), p.close())
	}
	p.wakeup = int(wakeup)
	if err := p.add(p.wakeup, slotWake, 0); err != nil {
		return nil, errors.Join(err, p.close())
	}
	p.poll = func(fd uintptr) bool {
		p.n, p.err = syscall.EpollWait(int(fd), p.buffer[:], 0)
		return p.n != 0 || p.err != nil
	}
	p.awake.Store(true)
	return p, nil
}

func (p *poller) add(fd int, slot int32, generation uint32) error {
	ev := syscall.EpollEvent{Events: edges, Fd: slot, Pad: int32(generation)}
	return os.NewSyscallError("epoll_ctl", syscall.EpollCtl(p.epoll, syscall.EPOLL_CTL_ADD, fd, &ev))
}

func (p *poller) remove(fd int) error {
	return os.NewSyscallError("epoll_ctl", syscall.EpollCtl(p.epoll, syscall.EPOLL_CTL_DEL, fd, nil))
}

// sleep announces that the loop is about to park: from here on wake has an
// effect. The caller looks once more for work before it waits.
func (p *poller) sleep() { p.awake.Store(false) }

func (p *poller) wait(events []event, park bool, deadline time.Time) ([]event, error) {
	defer p.awake.Store(true)
	p.n, p.err = 0, nil
	if !park {
		p.poll(uintptr(p.epoll))
	} else {
		if !deadline.Equal(p.deadline) {
			if err := p.file.SetReadDeadline(deadline); err != nil {
				return events, err
			}
			p.deadline = deadline
		}
		if err := p.raw.Read(p.poll); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				return events, err
			}
			p.deadline = time.Time{}.Add(1) // never equal: an expired deadline must be set anew
			p.poll(uintptr(p.epoll))
		}
	}
	if p.err != nil {
		if p.err == syscall.EINTR {
			return events, nil
		}
		return events, os.NewSyscallError("epoll_wait", p.err)
	}
	for i := range p.n {
		ev := &p.buffer[i]
		if ev.Fd != slotWake {
			events = append(events, event{slot: ev.Fd, generation: uint32(ev.Pad), flags: epollFlags(ev.Events)})
		}
	}
	return events, nil
}

// epollFlags treats an error like the end of reading: the next read says what
// it was.
func epollFlags(bits uint32) (flags eventFlags) {
	if bits&(syscall.EPOLLHUP|syscall.EPOLLERR|syscall.EPOLLRDHUP) != 0 {
		flags |= eventRead | eventHangup
	}
	if bits&syscall.EPOLLIN != 0 {
		flags |= eventRead
	}
	if bits&(syscall.EPOLLOUT|syscall.EPOLLHUP|syscall.EPOLLERR) != 0 {
		flags |= eventWrite
	}
	return flags
}

func (p *poller) wake() {
	if p.awake.Load() || !p.awake.CompareAndSwap(false, true) {
		return
	}
	// An eventfd takes eight bytes and can only refuse at 2^64-2 unread wakes.
	_, _ = syscall.Write(p.wakeup, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

func (p *poller) close() error {
	var err error
	if p.wakeup >= 0 {
		err = os.NewSyscallError("close", syscall.Close(p.wakeup))
	}
	return errors.Join(err, p.file.Close())
}
