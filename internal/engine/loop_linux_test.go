package engine

import (
	"syscall"
	"testing"

	"github.com/stoa-io/stoa/internal/netpoll"
)

// socketPair returns two connected sockets.
func socketPair(t *testing.T) (ours, theirs int) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fds[0], fds[1]
}

// TestStaleEventsAreDropped: an event of a connection that was closed earlier
// in the same batch must not reach the next connection in its slot, or even
// with its descriptor.
func TestStaleEventsAreDropped(t *testing.T) {
	l := idleLoop(t, Timeouts{})
	var err error
	if l.poller, err = netpoll.New(); err != nil {
		t.Fatal(err)
	}
	ours, theirs := socketPair(t)
	old := l.addSocket(ours)
	stale := netpoll.Event{Slot: int32(old.slot), Generation: old.generation, Flags: netpoll.Readable | netpoll.Writable | netpoll.HungUp}
	old.destroy(neverOpen, ByPeer)
	_ = syscall.Close(theirs)

	l.handleEvent(&stale) // the slot is empty
	ours, theirs = socketPair(t)
	next := l.addSocket(ours)
	if int32(next.slot) != stale.Slot {
		t.Fatalf("the next connection has slot %d, want %d again", next.slot, stale.Slot)
	}
	if next.generation == stale.Generation {
		t.Fatal("the next connection has the generation of the old one")
	}
	_ = syscall.Close(theirs) // a read would find the end
	l.handleEvent(&stale)
	if next.state != connHandshake || next.flags&flagHangup != 0 {
		t.Errorf("the stale event reached the next connection: state %d, flags %b", next.state, next.flags)
	}
	if c := l.lookup(old.slot, stale.Generation); c != nil {
		t.Error("lookup by the old generation found the next connection")
	}
	own := netpoll.Event{Slot: int32(next.slot), Generation: next.generation, Flags: netpoll.Readable | netpoll.HungUp}
	l.handleEvent(&own)
	if next.state != connGone {
		t.Errorf("state %d after the connection's own event, want gone", next.state)
	}
}
