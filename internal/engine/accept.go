package engine

import (
	"errors"
	"net"
	"time"

	"github.com/stoa-io/stoa/internal/netpoll"
)

// acceptBackoff is how long accepting pauses when descriptors or memory run
// out, in milliseconds. Retrying at once would only burn the processor that
// could free some.
const acceptBackoff = 200

// acceptWarning is the time between two warnings about that, in milliseconds.
const acceptWarning = 5000

// accept takes waiting connections from the loop's listener.
func (l *Loop) accept() {
	if l.listener < 0 || l.acceptAgain != 0 || l.drain.active {
		return
	}
	for range acceptsPerTurn {
		if !l.server.descriptors.Available() && !l.freeDescriptor() {
			l.server.askForRoom(l)
			l.acceptFailed(errSpare)
			return
		}
		if l.pending.isFull(l) {
			l.acceptAgain = max(1, l.now+pendingGrace)
			return
		}
		fd, peer, err := netpoll.Accept(l.listener)
		switch {
		case err == nil:
			if !l.server.descriptors.Admits(fd) {
				netpoll.Close(fd)
				l.acceptFailed(errSpare)
				return
			}
			l.stats.Accepted++
			if c := l.addAccepted(fd); c != nil {
				l.keepPeer(c, peer)
				c.setPending(true)
				l.makeRoom()
			}
		case err == netpoll.ErrAgain:
			l.acceptMore = false
			return
		case netpoll.AcceptInterrupted(err):
		default:
			l.acceptFailed(err)
			return
		}
	}
}

// acceptFailed backs off. The listener is edge-triggered, so acceptMore stays
// set until its queue is empty.
func (l *Loop) acceptFailed(err error) {
	l.stats.AcceptErrors++
	l.acceptAgain = max(1, l.now+acceptBackoff)
	if l.acceptWarn == 0 || l.now-l.acceptWarn > acceptWarning {
		l.acceptWarn = max(1, l.now)
		l.log.Warn("cannot accept connections", logLoop, l.number, logError, err)
	}
}

// addAccepted makes a socket of the listener a connection of this loop.
func (l *Loop) addAccepted(fd int) *Conn {
	if !l.server.config.ProxyProtocol {
		return l.addSocket(fd)
	}
	if peer := netpoll.Peer(fd); !l.server.allowed.Load().Proxies.ContainsPeer(peer) {
		netpoll.Close(fd)
		l.server.proxyFailed(ProxyUntrusted, peer)
		return nil
	}
	c := l.addSocket(fd)
	if c != nil {
		c.state = connProxied
	}
	return c
}

// addSocket makes a socket a connection of this loop.
func (l *Loop) addSocket(fd int) *Conn {
	c := l.newConn()
	if c == nil {
		netpoll.Close(fd)
		return nil
	}
	c.fd = int32(fd)
	c.SetDeadline(l.times.handshake)
	if err := l.poller.Add(fd, int32(c.slot), c.generation); err != nil {
		l.log.Warn("cannot watch a connection", logError, err)
		c.destroy(neverOpen, ByServer)
		return nil
	}
	return c
}

// addBlocking makes a connection of package net one of this loop.
func (l *Loop) addBlocking(nc net.Conn) *Conn {
	c := l.newConn()
	if c == nil {
		l.server.tasks.Go(func() { _ = nc.Close() })
		return nil
	}
	c.SetDeadline(l.times.handshake)
	c.blocking = newBlockingIO(nc, c)
	l.server.tasks.Go(c.blocking.readLoop)
	return c
}

// acceptedTask is a connection of package net, handshake to come.
type acceptedTask struct{ conn net.Conn }

func (t *acceptedTask) run(l *Loop) {
	l.stats.Accepted++
	if l.drain.active {
		// It was accepted while the listener was being closed, and the drain
		// may have passed its slot.
		l.server.tasks.Go(func() { _ = t.conn.Close() })
		return
	}
	if c := l.addBlocking(t.conn); c != nil {
		c.setPending(true)
		l.makeRoom()
	}
}

func (t *acceptedTask) dropped(*Loop) { _ = t.conn.Close() }

// acceptLoop accepts for the blocking transport and distributes the connections
// over the loops in turn.
func (s *Server) acceptLoop(listener net.Listener) {
	var warned time.Time
	for next := 0; ; next++ {
		nc, err := s.acceptNext(listener)
		if err == nil {
			if !s.loops[next%len(s.loops)].post(&acceptedTask{nc}) {
				_ = nc.Close()
			}
			continue
		}
		if errors.Is(err, net.ErrClosed) || s.Draining() || s.isStopped() {
			return
		}
		s.acceptErrors.Add(1)
		if now := time.Now(); now.Sub(warned) > acceptWarning*time.Millisecond {
			warned = now
			s.log.Warn("cannot accept connections", logError, err)
		}
		select {
		case <-s.stopped:
			return
		case <-time.After(acceptBackoff * time.Millisecond):
		}
	}
}

// acceptNext waits for a connection.
func (s *Server) acceptNext(listener net.Listener) (net.Conn, error) {
	if !s.descriptors.Available() && !s.awaitRoom() {
		return nil, errSpare
	}
	nc, err := listener.Accept()
	if err != nil {
		return nil, err
	}
	if !s.descriptors.Admits(netpoll.DescriptorOf(nc)) {
		_ = nc.Close()
		return nil, errSpare
	}
	return nc, nil
}

// closeListener stops accepting.
func (l *Loop) closeListener() {
	if l.listener < 0 {
		return
	}
	netpoll.Close(l.listener)
	l.listener = -1
	l.acceptMore = false
}

// errSpare is the reason for a pause of accepting.
var errSpare = errors.New("all descriptors are in use except for a reserve")

// pending lists the connections of a loop that are not open WebSockets: those
// without a whole request, and those whose refusal was answered. A client that
// opens many and stays silent must not keep others out until they time out. So
// the oldest ones are closed to make room: each client has as much time as the
// others, and one that sends a request byte by byte has no more of it.
//
// A request that the Upgrader decides on is not in the list: its client has
// done its part.
type pending struct {
	queue []pendingConn // oldest first; some are open or gone
	next  int           // entries before it are taken
	count int           // of the connections with flagPending
	full  bool          // nothing is accepted until one of them has left
}

type pendingConn struct {
	slot, generation uint32
	since            uint32 // the loop's clock
}

// pendingGrace is the age in milliseconds at which a connection may be closed
// to make room. Until the oldest one has it, new ones wait in the kernel. So a
// crowd of clients that do send requests is served as before.
const pendingGrace = 250

// evictWarning is the time between two warnings about closed connections, in
// milliseconds.
const evictWarning = 60_000

// setPending enters the connection into the list of its loop, or takes it out.
func (c *Conn) setPending(on bool) {
	if on == (c.flags&flagPending != 0) {
		return
	}
	c.flags ^= flagPending
	p := &c.loop.pending
	if !on {
		p.count--
		if p.full {
			p.full, c.loop.acceptAgain = false, 0
		}
		return
	}
	p.count++
	if len(p.queue)-p.next > 2*p.count+acceptsPerTurn {
		p.compact(c.loop)
	}
	p.queue = append(p.queue, pendingConn{c.slot, c.generation, c.loop.now})
}

// compact removes the entries of connections that are not pending any more.
func (p *pending) compact(l *Loop) {
	kept := p.queue[:0]
	for _, e := range p.queue[p.next:] {
		if c := l.lookup(e.slot, e.generation); c != nil && c.flags&flagPending != 0 {
			kept = append(kept, e)
		}
	}
	p.queue, p.next = kept, 0
}

// isFull reports whether no connection may be accepted: the loop's share of the
// limit is used up by connections that are too young to be closed.
func (p *pending) isFull(l *Loop) bool {
	p.full = l.limits.PendingHandshakes > 0 && p.count >= l.pendingShare() && !p.hasOld(l)
	return p.full
}

// pendingShare is the loop's share of the limit.
func (l *Loop) pendingShare() int {
	loops := len(l.server.loops)
	return (l.limits.PendingHandshakes + loops - 1) / loops
}

// makeRoom closes the oldest pending connections beyond the loop's share of the
// limit.
func (l *Loop) makeRoom() {
	if l.limits.PendingHandshakes <= 0 {
		return
	}
	for share := l.pendingShare(); l.pending.count > share && l.pending.hasOld(l); {
		l.pending.take(l).evict()
	}
}

// freeDescriptor closes the oldest pending connection. It reports false if
// there is none that may be closed.
func (l *Loop) freeDescriptor() bool {
	for l.pending.hasOld(l) {
		if l.pending.take(l).evict() {
			return true
		}
	}
	return false
}

// hasOld reports whether the oldest connection may be closed.
func (p *pending) hasOld(l *Loop) bool {
	for ; p.next < len(p.queue); p.next++ {
		e := p.queue[p.next]
		if c := l.lookup(e.slot, e.generation); c != nil && c.flags&flagPending != 0 {
			return l.now-e.since >= pendingGrace
		}
	}
	p.queue, p.next = p.queue[:0], 0
	return false
}

// take takes the oldest connection out of the queue, after hasOld.
func (p *pending) take(l *Loop) *Conn {
	e := p.queue[p.next]
	p.next++
	return l.lookup(e.slot, e.generation)
}

// evict closes a pending connection to make room, unless its request has
// arrived in the meantime. It reports whether a descriptor is free.
func (c *Conn) evict() bool {
	l := c.loop
	if c.state <= connHandshake && c.blocking == nil {
		c.onReadable(c.flags&flagHangup != 0)
		if c.state > connHandshake {
			return c.state == connGone && c.fd >= 0 // else net/http has it
		}
	}
	if c.state <= connHandshake {
		l.stats.Handshakes[HandshakeEvicted]++
		l.logDebug("connection closed to make room: it has sent no request", c)
		if l.evictWarn == 0 || l.now-l.evictWarn > evictWarning {
			l.evictWarn = max(1, l.now)
			l.log.Warn("connections without a request are closed to make room for others", logLoop, l.number,
				logLimit, l.limits.PendingHandshakes)
		}
	}
	c.destroy(neverOpen, ByServer)
	return true
}

// askForRoom makes the other loops and net/http close a connection, since the
// descriptors are used up. needy is nil for the accept loop.
func (s *Server) askForRoom(needy *Loop) {
	for _, l := range s.loops {
		if l != needy {
			l.post(&evictTask{needy})
		}
	}
	if nc := s.http.oldest(time.Now()); nc != nil {
		s.tasks.Go(func() { // it may block for the closing alert of TLS
			_ = nc.Close()
			s.httpEvicted.Add(1)
			s.madeRoom(needy)
		})
	}
}

// madeRoom notifies a loop, or the accept loop, that a descriptor is free.
func (s *Server) madeRoom(needy *Loop) {
	if needy != nil {
		needy.post(roomTask{})
		return
	}
	select {
	case s.room <- struct{}{}:
	default:
	}
}

// evictTask closes the oldest pending connection for a loop that has none.
type evictTask struct{ needy *Loop }

func (t *evictTask) run(l *Loop) {
	// A connection over blocking I/O notifies the accept loop when it is
	// closed.
	if l.freeDescriptor() && t.needy != nil {
		l.server.madeRoom(t.needy)
	}
}

func (*evictTask) dropped(*Loop) {}

// roomTask ends a pause of accepting.
type roomTask struct{}

func (roomTask) run(l *Loop)   { l.acceptAgain = 0 }
func (roomTask) dropped(*Loop) {}

// awaitRoom makes the loops close pending connections until a descriptor is
// free. It reports false if none is after acceptBackoff.
func (s *Server) awaitRoom() bool {
	limit := time.NewTimer(acceptBackoff * time.Millisecond)
	defer limit.Stop()
	again := time.NewTicker(acceptBackoff / 4 * time.Millisecond)
	defer again.Stop()
	for !s.descriptors.Available() {
		s.askForRoom(nil)
		select {
		case <-s.room:
		case <-again.C:
		case <-limit.C:
			return s.descriptors.Available()
		case <-s.stopped:
			return false
		}
	}
	return true
}
