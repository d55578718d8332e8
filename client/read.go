package client

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// receiveQueueWithAsk multiplies Options.ReceiveQueue while an ask is in
// flight: a handler may wait for the answer, which arrives after more messages.
const receiveQueueWithAsk = 16

// read handles the frames of the server until the connection is closed.
func (t *transport) read() {
	for {
		op, payload, ok, err := t.frames.next()
		if err != nil {
			t.fail(t.explain(err))
			return
		}
		if !ok {
			continue
		}
		switch op {
		case ws.OpPing:
			t.answerPing(payload)
		case ws.OpPong:
		case ws.OpClose:
			t.closedByPeer(payload)
			return
		default:
			t.receive(payload, op == ws.OpBinary)
			t.pause()
		}
	}
}

// explain translates an error of the socket where this package has one for it.
func (t *transport) explain(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ErrIdle
	case errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF // without a close frame
	}
	return err
}

// fail ends the transport because of an error that the client has found. A
// server that broke a rule receives the matching close code.
func (t *transport) fail(err error) {
	c := t.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.over {
		// The closing handshake has begun, and the peer has closed its side.
		t.cut()
		return
	}
	how, code := endingCut, wire.CodeNormal
	switch {
	case errors.Is(err, ErrTooBig):
		how, code = endingReply, wire.CodeTooBig
	case errors.Is(err, ErrProtocol):
		how, code = endingReply, wire.CodeProtocolError
	}
	t.end(how, code)
	t.lost(err)
}

// closedByPeer answers a close frame and ends the transport.
func (t *transport) closedByPeer(payload []byte) {
	closed, err := parseClose(payload)
	if err != nil {
		t.fail(err)
		return
	}
	c := t.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.over {
		return // the answer to our close frame, or both crossed
	}
	t.end(endingReply, closed.Code)
	t.lost(closed)
}

func (t *transport) answerPing(payload []byte) {
	t.conn.mu.Lock()
	defer t.conn.mu.Unlock()
	// Only the newest ping is answered (RFC 6455 section 5.5.3), so a flood of
	// pings uses no memory.
	t.pong = append(make([]byte, 0, len(payload)), payload...)
	t.signal()
}

// receive passes a message to the session, or queues it behind a deferred
// request.
func (t *transport) receive(payload []byte, binary bool) {
	c := t.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.over {
		return
	}
	var verdict session.Verdict
	if len(t.deferred) > 0 {
		verdict = t.session.ReceiveAnswer(payload, binary)
	} else {
		verdict = t.session.Receive(payload, binary)
	}
	switch verdict {
	case session.VerdictBusy:
		t.deferred = append(t.deferred, frame{slices.Clone(payload), binary})
		t.deferredBytes += len(payload) + outgoingOverhead
	case session.VerdictEarlyOverflow:
		t.abort(fmt.Errorf("%w: too much before the acknowledgement", ErrProtocol))
		return
	}
	t.settle()
}

// resume receives the queued messages after a decision. The caller holds
// conn.mu.
func (t *transport) resume() {
	for len(t.deferred) > 0 && !t.over {
		first := t.deferred[0]
		if t.session.Receive(first.payload, first.binary) == session.VerdictBusy {
			break
		}
		t.deferred = t.deferred[1:]
		t.deferredBytes -= len(first.payload) + outgoingOverhead
	}
	t.settle()
}

// pause returns when further messages may be read: their handlers and their
// answers need room in the queues.
func (t *transport) pause() {
	c := t.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	for !t.over {
		// The session's own answers need room, too. The limit is twice that of
		// emits, as the application can fill the queue up to the limit.
		if t.full(2) {
			t.waitEased()
			continue
		}
		limit := c.options.ReceiveQueue
		if len(t.responders) > 0 {
			limit *= receiveQueueWithAsk
		}
		if limit >= 0 {
			limit = max(0, limit-t.deferredBytes)
		}
		eased := c.handlers.overLimit(limit)
		if eased == nil {
			return
		}
		asked := make(chan struct{})
		t.paused = asked
		c.mu.Unlock()
		select {
		case <-eased:
		case <-asked:
		case <-t.ended:
		}
		c.mu.Lock()
	}
}
