package engine

import (
	"net"
	"net/http"
	"testing"
	"time"
)

// The list of pending connections grows with those that are pending, not with
// those that were accepted.
func TestPendingListIsBounded(t *testing.T) {
	l := idleLoop(t, Timeouts{})
	silent := l.newConn()
	silent.setPending(true)
	for range 100_000 {
		c := l.newConn()
		c.setPending(true)
		c.opened(nil)
		c.forget()
	}
	if l.pending.count != 1 || cap(l.pending.queue) > 10*acceptsPerTurn {
		t.Errorf("%d connections are pending in a list of %d, want 1 in a short list", l.pending.count, cap(l.pending.queue))
	}
	l.now += pendingGrace
	if !l.pending.hasOld(l) || l.pending.take(l) != silent {
		t.Error("the silent connection is not the oldest one")
	}
	if l.pending.hasOld(l) {
		t.Error("another connection is pending")
	}
}

// A connection is not closed before its client has had time. In the meantime
// none is accepted, until one has left.
func TestPendingGrace(t *testing.T) {
	l := idleLoop(t, Timeouts{})
	l.limits.PendingHandshakes = 2
	first, second := l.newConn(), l.newConn()
	first.setPending(true)
	if l.pending.isFull(l) {
		t.Fatal("full with one connection of two")
	}
	second.setPending(true)
	l.now += pendingGrace - 1
	if l.pending.hasOld(l) || !l.pending.isFull(l) {
		t.Fatal("not full with two connections, or a young one may be closed")
	}
	l.acceptAgain = l.now + pendingGrace
	if first.opened(nil); l.acceptAgain != 0 || l.pending.isFull(l) {
		t.Fatal("still full after one has left")
	}
	first.destroy(neverOpen, ByPeer)
	l.newConn().setPending(true)
	l.now++
	if !l.pending.hasOld(l) || l.pending.isFull(l) {
		t.Fatal("the oldest one may not be closed after its time")
	}
	if l.makeRoom(); l.pending.count != 2 {
		t.Fatalf("%d connections within the limit, want both", l.pending.count)
	}
	l.newConn().setPending(true)
	second.state = connDiscarding // refused, and not answered by a close
	if l.makeRoom(); second.state != connGone || l.pending.count != 2 {
		t.Errorf("%d connections, state %d of the oldest; want 2 and gone", l.pending.count, second.state)
	}
}

// Of the connections of net/http the one that has been idle for longest is
// closed first, then one whose request takes long.
func TestOldestHTTPConnection(t *testing.T) {
	l := idleLoop(t, Timeouts{})
	h := l.server.http
	conns := make([]net.Conn, 4)
	for i := range conns {
		conns[i], _ = net.Pipe()
		h.track(conns[i], http.StateNew)
		h.track(conns[i], http.StateActive)
	}
	h.track(conns[3], http.StateIdle)
	h.track(conns[1], http.StateIdle)
	h.track(conns[2], http.StateClosed)
	now := time.Now()
	for _, want := range []net.Conn{conns[3], conns[1], nil} {
		if got := h.oldest(now); got != want {
			t.Errorf("%v is the oldest, want %v", got, want)
		}
	}
	if got := h.oldest(now.Add(requestGrace)); got != conns[0] {
		t.Errorf("%v is the oldest, want the one with a long request", got)
	}
	h.track(conns[0], http.StateClosed)
	if len(h.conns) != 0 || h.idle.Len() != 0 || h.active.Len() != 0 {
		t.Error("closed connections are still tracked")
	}
}
