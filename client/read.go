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

// mailboxWithAsk is how many times Options.Mailbox may wait for handlers while an ask
// is in flight: a handler may wait for the answer, which comes behind more messages.
const mailboxWithAsk = 16

// read takes what the server sends until the connection ends.
func (l *link) read() {
	for {
		op, payload, ok, err := l.frames.next()
		if err != nil {
			l.fail(l.explain(err))
			return
		}
		if !ok {
			continue
		}
		switch op {
		case ws.OpPing:
			l.answerPing(payload)
		case ws.OpPong:
		case ws.OpClose:
			l.closedByPeer(payload)
			return
		default:
			l.receive(payload, op == ws.OpBinary)
			l.pause()
		}
	}
}

// explain turns an error of the socket into one of this package where it has one.
func (l *link) explain(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ErrIdle
	case errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF // without a close frame
	}
	return err
}

// fail ends the link because of an error that was found here. The server is told what
// it did wrong.
func (l *link) fail(err error) {
	c := l.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.over {
		// It is being closed in good order, and this is how the peer ends it.
		l.cut()
		return
	}
	how, code := endingCut, wire.CodeNormal
	switch {
	case errors.Is(err, ErrTooBig):
		how, code = endingReply, wire.CodeTooBig
	case errors.Is(err, ErrProtocol):
		how, code = endingReply, wire.CodeProtocolError
	}
	l.end(how, code)
	c.lost(l, err)
}

// closedByPeer answers a close frame and ends the link.
func (l *link) closedByPeer(payload []byte) {
	closed, err := parseClose(payload)
	if err != nil {
		l.fail(err)
		return
	}
	c := l.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.over {
		return // the answer to ours, or both at once
	}
	l.end(endingReply, closed.Code)
	c.lost(l, closed)
}

func (l *link) answerPing(payload []byte) {
	l.conn.mu.Lock()
	defer l.conn.mu.Unlock()
	// Only the newest is answered (RFC 6455 section 5.5.3), so a flood of pings fills
	// nothing.
	l.pong = append(make([]byte, 0, len(payload)), payload...)
	l.signal()
}

// receive hands a message to the session, or keeps it behind a request that is not
// decided yet.
func (l *link) receive(payload []byte, binary bool) {
	c := l.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.over {
		return
	}
	var verdict session.Verdict
	if len(l.held) > 0 {
		verdict = l.session.ReceiveAnswer(payload, binary)
	} else {
		verdict = l.session.Receive(payload, binary)
	}
	switch verdict {
	case session.VerdictBusy:
		l.held = append(l.held, frame{slices.Clone(payload), binary})
		l.heldBy += len(payload) + outgoingOverhead
	case session.VerdictEarlyOverflow:
		l.abort(fmt.Errorf("%w: too much before the acknowledgement", ErrProtocol))
		return
	}
	l.settle()
}

// resume goes on with what was kept, after a decision. It is called with conn.mu held.
func (l *link) resume() {
	for len(l.held) > 0 && !l.over {
		first := l.held[0]
		if l.session.Receive(first.payload, first.binary) == session.VerdictBusy {
			break
		}
		l.held = l.held[1:]
		l.heldBy -= len(first.payload) + outgoingOverhead
	}
	l.settle()
}

// abort ends the link with conn.mu held.
func (l *link) abort(err error) {
	l.end(endingCut, wire.CodeNormal)
	l.conn.lost(l, err)
}

// pause returns when there is room for what more messages bring about: work for
// handlers, and answers to be sent.
func (l *link) pause() {
	c := l.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	for !l.over {
		// The answers that the session gives by itself need room, too. Twice the limit:
		// the program alone can fill it once.
		if l.full(2) {
			l.waitEased()
			continue
		}
		limit := c.options.Mailbox
		if len(l.callers) > 0 {
			limit *= mailboxWithAsk
		}
		if limit >= 0 {
			limit = max(0, limit-l.heldBy)
		}
		eased := c.handlers.overLimit(limit)
		if eased == nil {
			return
		}
		asked := make(chan struct{})
		l.paused = asked
		c.mu.Unlock()
		select {
		case <-eased:
		case <-asked:
		case <-l.ended:
		}
		c.mu.Lock()
	}
}
