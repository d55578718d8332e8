package node

import (
	"errors"
	"net"
	"time"
)

// Running out of descriptors or memory stops accepting for this long, in
// milliseconds: trying again at once would only burn the processor that could
// free some.
const acceptBackoff = 200

// accept takes waiting connections from the loop's listener.
func (l *loop) accept() {
	if l.listener < 0 || l.acceptAgain != 0 || l.drain.active {
		return
	}
	for range acceptsPerTurn {
		fd, err := acceptSocket(l.listener)
		switch {
		case err == nil:
			l.adoptSocket(fd)
		case err == errAgain:
			l.acceptMore = false
			return
		case acceptInterrupted(err):
		default:
			l.acceptFailed(err)
			return
		}
	}
}

// acceptFailed backs off. The listener is edge-triggered, so acceptMore stays
// set until it has been emptied.
func (l *loop) acceptFailed(err error) {
	l.stats.AcceptErrors++
	l.acceptAgain = max(1, l.now+acceptBackoff)
	if l.acceptWarn == 0 || l.now-l.acceptWarn > 5000 {
		l.acceptWarn = max(1, l.now)
		l.log.Warn("cannot accept connections", logLoop, l.number, logError, err)
	}
}

// adoptSocket makes an accepted socket a connection of this loop.
func (l *loop) adoptSocket(fd int) *conn {
	l.stats.Accepted++
	return l.addSocket(fd)
}

func (l *loop) addSocket(fd int) *conn {
	c := l.newConn()
	if c == nil {
		closeSocket(fd)
		return nil
	}
	c.fd = int32(fd)
	c.setDeadline(l.times.handshake)
	if err := l.poller.add(fd, int32(c.slot), c.generation); err != nil {
		l.log.Warn("cannot watch a connection", logError, err)
		c.destroy(closeGone, ByServer)
		return nil
	}
	return c
}

// adoptStream makes a connection of package net one of this loop, with the bytes
// that were already read from it.
func (l *loop) adoptStream(nc net.Conn, head []byte) *conn {
	l.stats.Accepted++
	if l.drain.active {
		// It was accepted while the listener was being closed, and the drain may
		// have passed its slot.
		l.node.tasks.Go(func() { _ = nc.Close() })
		return nil
	}
	c := l.addStream(nc)
	if c != nil && len(head) > 0 {
		c.in = head
		c.consumeKept()
	}
	return c
}

func (l *loop) addStream(nc net.Conn) *conn {
	c := l.newConn()
	if c == nil {
		l.node.tasks.Go(func() { _ = nc.Close() })
		return nil
	}
	c.setDeadline(l.times.handshake)
	c.stream = newStream(nc, l, c.place(), c.generation)
	l.node.tasks.Go(c.stream.readLoop)
	return c
}

// adoptUpgraded takes a connection over from net/http, with the answer to its good
// request and the bytes that came behind that. A plain TCP connection goes to
// epoll.
func (l *loop) adoptUpgraded(it *item) {
	var c *conn
	if fd, ok := l.node.plainSocket(it.conn); ok {
		_ = it.conn.Close() // the descriptor is a duplicate
		c = l.addSocket(fd)
	} else {
		c = l.addStream(it.conn)
	}
	if c == nil {
		if it.accept != nil {
			l.neverOpened(it.accept)
		}
		return
	}
	c.enqueue(it.frame, 0)
	c.opened(it.accept)
	if l.drain.active {
		c.closeWith(drainCode, drainReason)
	}
	if len(it.head) > 0 {
		c.in = it.head
		c.consumeKept()
	}
}

// plainSocket returns a descriptor for a TCP connection that an epoll loop can
// serve.
func (n *Node) plainSocket(nc net.Conn) (fd int, ok bool) {
	if !n.epoll {
		return -1, false
	}
	tcp, is := nc.(*net.TCPConn)
	if !is {
		return -1, false
	}
	fd, err := takeSocket(tcp)
	return fd, err == nil
}

// acceptLoop accepts for the blocking transport and deals the connections out to
// the loops in turn.
func (n *Node) acceptLoop(listener net.Listener) {
	for next := 0; ; next++ {
		nc, err := listener.Accept()
		if err == nil {
			if !n.loops[next%len(n.loops)].post(item{kind: itemStream, errand: &errand{conn: nc}}) {
				_ = nc.Close()
			}
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		n.acceptErrors.Add(1)
		n.log.Warn("cannot accept connections", logError, err)
		select {
		case <-n.stopped:
			return
		case <-time.After(acceptBackoff * time.Millisecond):
		}
	}
}

// closeListener stops accepting. Connections that wait in the kernel's queue are
// accepted first: closing the socket would reset them.
func (l *loop) closeListener() {
	if l.listener < 0 {
		return
	}
	closeSocket(l.listener)
	l.listener = -1
	l.acceptMore = false
}
