package node

import (
	"errors"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

const haveEpoll = true

// poller is epoll; see poller.go for the contract.
//
// Go's poller does not watch the epoll descriptor itself but a second one, the
// gate, which watches the first one only while the loop is parked: it is armed
// for one event at a time. Otherwise every event of a busy loop would wake the
// thread that sits in Go's poller for nothing, a context switch each.
type poller struct {
	epoll  int
	gate   int
	wakeup int // an eventfd, edge-triggered, so it need never be read
	file   *os.File
	raw    syscall.RawConn
	awake  atomic.Bool
	waking atomic.Int32 // calls of wake that may be writing to wakeup

	armed    bool      // the gate watches, or has fired and was not asked since
	deadline time.Time // as last given to file
	buffer   [maxEvents]syscall.EpollEvent
	n        int
	err      error

	pollOrArm func(fd uintptr) bool // allocated once, not per wait
}

// edges is what a socket is registered for: edge-triggered, so one epoll_ctl
// serves the connection's whole life.
const edges = syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLRDHUP | -syscall.EPOLLET&0xffffffff

func newPoller() (_ *poller, err error) {
	p := &poller{epoll: -1, gate: -1, wakeup: -1}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if p.epoll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if p.gate, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	closed := syscall.EpollEvent{Events: syscall.EPOLLONESHOT}
	if err := syscall.EpollCtl(p.gate, syscall.EPOLL_CTL_ADD, p.epoll, &closed); err != nil {
		return nil, os.NewSyscallError("epoll_ctl", err)
	}
	// Go's poller takes only descriptors that are marked non-blocking.
	if err := syscall.SetNonblock(p.gate, true); err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	p.file = os.NewFile(uintptr(p.gate), "epoll")
	if p.raw, err = p.file.SyscallConn(); err != nil {
		return nil, err
	}
	wakeup, _, errno := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if errno != 0 {
		return nil, os.NewSyscallError("eventfd2", errno)
	}
	p.wakeup = int(wakeup)
	if err := p.add(p.wakeup, slotWake, 0); err != nil {
		return nil, err
	}
	p.pollOrArm = func(uintptr) bool { return p.poll() || !p.arm() }
	p.awake.Store(true)
	return p, nil
}

// poll asks for events and reports whether there is something to return.
func (p *poller) poll() bool {
	p.n, p.err = syscall.EpollWait(p.epoll, p.buffer[:], 0)
	return p.n != 0 || p.err != nil
}

// arm lets the gate report the next event, or one that came since poll. It
// reports false when that failed.
func (p *poller) arm() bool {
	var fired [1]syscall.EpollEvent
	if p.armed {
		n, err := syscall.EpollWait(p.gate, fired[:], 0)
		if err != nil || n == 0 {
			p.err = err
			return err == nil // still armed
		}
	}
	open := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLONESHOT}
	p.err = syscall.EpollCtl(p.gate, syscall.EPOLL_CTL_MOD, p.epoll, &open)
	p.armed = p.err == nil
	return p.armed
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
		p.poll()
	} else {
		if !deadline.Equal(p.deadline) {
			if err := p.file.SetReadDeadline(deadline); err != nil {
				return events, err
			}
			p.deadline = deadline
		}
		if err := p.raw.Read(p.pollOrArm); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				return events, err
			}
			p.deadline = time.Time{}.Add(1) // never equal: an expired deadline must be set anew
			p.poll()
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
	if p.awake.Load() {
		return
	}
	p.waking.Add(1)
	if p.awake.CompareAndSwap(false, true) {
		// An eventfd takes eight bytes and can only refuse at 2^64-2 unread wakes.
		_, _ = syscall.Write(p.wakeup, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
	p.waking.Add(-1)
}

// close waits for wakes that have begun: they must not write into a descriptor
// that somebody else has got meanwhile.
func (p *poller) close() error {
	p.awake.Store(true)
	for p.waking.Load() > 0 {
		runtime.Gosched()
	}
	var errs []error
	for _, fd := range []int{p.wakeup, p.epoll} {
		if fd >= 0 {
			errs = append(errs, os.NewSyscallError("close", syscall.Close(fd)))
		}
	}
	switch {
	case p.file != nil:
		errs = append(errs, p.file.Close())
	case p.gate >= 0:
		errs = append(errs, os.NewSyscallError("close", syscall.Close(p.gate)))
	}
	return errors.Join(errs...)
}
