package node

import "github.com/stoa-io/stoa/internal/session"

// mailbox holds the messages of one connection that came while an earlier one is
// being worked on: a connection's messages are handled in the order sent. Together
// with what waits for the connection's handlers it is bounded by Limits.Mailbox:
// beyond that the connection is not read until half of it has drained.
type mailbox struct {
	letters []letter
	next    int // letters before it are worked on
	bytes   int
}

type letter struct {
	payload []byte
	binary  bool
}

// letterOverhead is what a letter costs beside its payload, in bytes.
const letterOverhead = 40

// putMail keeps a copy of the message.
func (c *conn) putMail(payload []byte, binary bool) {
	if c.mail == nil {
		c.mail = new(mailbox)
	}
	if box := c.mail; box.next > len(box.letters)/2 {
		// A client that always has something waiting must not make it grow.
		rest := copy(box.letters, box.letters[box.next:])
		clear(box.letters[rest:])
		box.letters, box.next = box.letters[:rest], 0
	}
	c.mail.letters = append(c.mail.letters, letter{append([]byte(nil), payload...), binary})
	c.mail.bytes += len(payload) + letterOverhead
	c.fillMail()
}

// readMail works on what has waited, until the session is busy again: what that
// means depends on the message, as joins do not wait for each other.
func (c *conn) readMail() {
	c.session.Resume()
	for c.mail != nil && c.state == connOpen {
		box := c.mail
		if box.next == len(box.letters) {
			c.mail = nil
			break
		}
		first := &box.letters[box.next]
		payload, binary := first.payload, first.binary
		verdict := c.receiveMessage(payload, binary)
		if verdict == session.VerdictBusy {
			break
		}
		*first = letter{}
		box.next++
		box.bytes -= len(payload) + letterOverhead
		c.judge(verdict, binary)
	}
	c.easeMail()
}

// waiting is what waits in the mailbox and for the handlers, in bytes. If it is
// above the limit, the handlers' queue says when half of it is free.
func (c *conn) waiting(limit int) int {
	bytes := 0
	if c.mail != nil {
		bytes = c.mail.bytes
	}
	if c.handle != nil {
		bytes += c.handle.tasks.WatchBytes(limit-bytes, c.loop.limits.Mailbox/2)
	}
	return bytes
}

// fillMail stops reading the connection if too much waits.
func (c *conn) fillMail() {
	if limit := c.loop.limits.Mailbox; limit > 0 && c.flags&flagMailFull == 0 && c.waiting(limit) > limit {
		c.flags |= flagMailFull
	}
}

// easeMail reads the connection again if little waits. It must not be called from
// inside the session, to which it may bring a message.
func (c *conn) easeMail() {
	if limit := c.loop.limits.Mailbox; c.flags&flagMailFull != 0 && c.waiting(limit/2) <= limit/2 {
		c.flags &^= flagMailFull
		c.resume()
	}
}
