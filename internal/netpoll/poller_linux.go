package netpoll

import (
	"errors"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const Available = true

// Poller is epoll; see poller.go for the contract.
//
// Go's poller does not watch the epoll descriptor itself but a second one, the
// gate, which watches the first one only while the loop is parked: it is armed
// for one event at a time. Otherwise every event of a busy loop would wake the
// thread that sits in Go's poller for nothing, a context switch each.
type Poller struct {
	epoll  int
	gate   int
	wakeup int // an eventfd, edge-triggered, so it need never be read
	file   *os.File
	raw    syscall.RawConn
	awake  atomic.Bool
	waking atomic.Int32 // calls of Wake that may be writing to wakeup

	armed    bool      // the gate watches, or has fired and was not read since
	deadline time.Time // as last given to file
	buffer   [MaxEvents]syscall.EpollEvent
	n        int
	err      error

	pollOrArm func(fd uintptr) bool // allocated once, not per wait
}

// edges are the events of every registration. They are edge-triggered, so one
// epoll_ctl serves the whole life of a connection.
const edges = syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLRDHUP | -syscall.EPOLLET&0xffffffff

// New opens a poller. The caller closes it.
func New() (_ *Poller, err error) {
	p := &Poller{epoll: -1, gate: -1, wakeup: -1}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
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
	if p.wakeup, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, os.NewSyscallError("eventfd2", err)
	}
	if err := p.Add(p.wakeup, slotWake, 0); err != nil {
		return nil, err
	}
	p.pollOrArm = func(uintptr) bool { return p.poll() || !p.arm() }
	p.awake.Store(true)
	return p, nil
}

// poll asks for events and reports whether Wait has something to return.
func (p *Poller) poll() bool {
	p.n, p.err = syscall.EpollWait(p.epoll, p.buffer[:], 0)
	return p.n != 0 || p.err != nil
}

// arm lets the gate report the next event, or one that arrived since poll. It
// reports false on failure.
func (p *Poller) arm() bool {
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

// Add registers a socket. The event of it carries slot and generation.
func (p *Poller) Add(fd int, slot int32, generation uint32) error {
	ev := syscall.EpollEvent{Events: edges, Fd: slot, Pad: int32(generation)}
	return os.NewSyscallError("epoll_ctl", syscall.EpollCtl(p.epoll, syscall.EPOLL_CTL_ADD, fd, &ev))
}

// Remove unregisters a socket that stays open.
func (p *Poller) Remove(fd int) error {
	return os.NewSyscallError("epoll_ctl", syscall.EpollCtl(p.epoll, syscall.EPOLL_CTL_DEL, fd, nil))
}

// Sleep announces that the loop is about to park: from here on Wake has an
// effect. The caller looks for work again before it calls Wait.
func (p *Poller) Sleep() { p.awake.Store(false) }

// Wait appends the pending events to events. With park it blocks until there is
// one, Wake is called, or the deadline passes; a zero deadline never passes.
func (p *Poller) Wait(events []Event, park bool, deadline time.Time) ([]Event, error) {
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
			events = append(events, Event{Slot: ev.Fd, Generation: uint32(ev.Pad), Flags: epollFlags(ev.Events)})
		}
	}
	return events, nil
}

// epollFlags treats an error like the end of reading: the next read returns it.
func epollFlags(bits uint32) (flags Flags) {
	if bits&(syscall.EPOLLHUP|syscall.EPOLLERR|syscall.EPOLLRDHUP) != 0 {
		flags |= Readable | HungUp
	}
	if bits&syscall.EPOLLIN != 0 {
		flags |= Readable
	}
	if bits&(syscall.EPOLLOUT|syscall.EPOLLHUP|syscall.EPOLLERR) != 0 {
		flags |= Writable
	}
	return flags
}

// Wake ends one Wait, the current or the next. Safe for concurrent use.
func (p *Poller) Wake() {
	if p.awake.Load() {
		return
	}
	p.waking.Add(1)
	if p.awake.CompareAndSwap(false, true) {
		// An eventfd takes eight bytes and can only refuse at 2^64-2 unread
		// wakes.
		_, _ = syscall.Write(p.wakeup, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
	p.waking.Add(-1)
}

// Close releases the descriptors. It first lets running calls of Wake end: they
// must not write into a descriptor that another owner got in the meantime.
func (p *Poller) Close() error {
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
