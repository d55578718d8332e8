package engine

import (
	"bufio"
	"bytes"
	"net/http"
)

// upgradeTask carries the Upgrader's decision about a request of an own
// listener's connection back to the loop.
type upgradeTask struct {
	slot, generation uint32
	answer           []byte // to a good request
	decision         Decision
}

// decide lets the Upgrader decide about a good request, and owns its answer. In
// the meantime nothing is read from the connection.
func (c *Conn) decide(head, answer []byte) {
	l := c.loop
	upgrader := l.server.upgrader
	if !upgrader.Begin() { // the server has stopped
		c.turnAway(HandshakeAborted, http.StatusServiceUnavailable, unusableReason)
		return
	}
	c.state = connAccepting
	t := &upgradeTask{
		slot: c.slot, generation: c.generation, answer: answer,
		// Stays if Upgrade does not return: its code called runtime.Goexit.
		decision: Decision{Status: http.StatusInternalServerError, Reason: "the request cannot be served"},
	}
	head, peer, blocking := bytes.Clone(head), c.RemoteAddr(), c.blocking
	go func() {
		defer upgrader.Done()
		defer func() {
			if !l.post(t) {
				t.dropped(l)
			}
		}()
		request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
		if err != nil {
			// net/http is stricter than the check of the upgrade.
			t.decision = Decision{Status: http.StatusBadRequest, Reason: "malformed HTTP request"}
			return
		}
		request.RemoteAddr = peer
		if blocking != nil {
			request.TLS = tlsState(blocking.conn)
		}
		t.decision = upgrader.Upgrade(request.WithContext(l.base), l)
	}()
}

// run opens the WebSocket, or refuses it.
func (t *upgradeTask) run(l *Loop) {
	c := l.lookup(t.slot, t.generation)
	d := &t.decision
	switch {
	case c == nil || c.state != connAccepting: // too late
		t.dropped(l)
		return
	case d.Status != 0:
		c.turnAway(HandshakeRefused, d.Status, d.Reason)
		return
	case d.Late:
		c.turnAway(HandshakeTimeout, http.StatusServiceUnavailable, lateReason)
		t.dropped(l)
		return
	case l.server.Draining() || l.server.Full():
		c.turnAway(HandshakeFull, http.StatusServiceUnavailable, unusableReason)
		t.dropped(l)
		return
	}
	c.Send(t.answer, 0)
	c.opened(d.Value)
	c.resume()
}

// dropped tells the Upgrader that an accepted connection was not opened.
func (t *upgradeTask) dropped(l *Loop) {
	if t.decision.Status == 0 {
		l.server.upgrader.NotOpened(l, t.decision.Value)
	}
}

// turnAway refuses a request that was not refused for its content.
func (c *Conn) turnAway(result HandshakeResult, status int, reason string) {
	c.loop.stats.Handshakes[result]++
	c.loop.server.refused(refusal{result, status, reason}, c.RemoteAddr(), nil, nil)
	c.refuse(status, reason)
	if c.flags&flagReadable != 0 {
		c.readLater() // no event announces again the bytes or the end that arrived
	}
}
