package node

import "github.com/stoa-io/stoa/internal/session"

// mailbox holds the messages of one connection that came while an earlier one is
// being worked on: a connection's messages are handled in the order sent.
type mailbox struct {
	letters []letter
	bytes   int
}

type letter struct {
	payload []byte
	binary  bool
}

// letterOverhead is what a letter costs beside its payload, in bytes.
const letterOverhead = 40

// putMail keeps a copy of the message. A mailbox that is over its limit takes no
// more: the connection is not read until it has drained.
func (c *conn) putMail(payload []byte, binary bool) {
	if c.mail == nil {
		c.mail = new(mailbox)
	}
	c.mail.letters = append(c.mail.letters, letter{append([]byte(nil), payload...), binary})
	c.mail.bytes += len(payload) + letterOverhead
	if limit := c.loop.limits.Mailbox; limit > 0 && c.mail.bytes > limit {
		c.flags |= flagMailFull
	}
}

// readMail works on what has waited, until the session is busy again.
func (c *conn) readMail() {
	if c.mail == nil || c.state != connOpen || c.session.Busy() {
		return
	}
	letters := c.mail.letters
	c.mail = nil
	for i, next := range letters {
		verdict := c.session.Receive(next.payload, next.binary)
		if verdict == session.VerdictBusy {
			c.keepMail(letters[i:])
			return
		}
		c.judge(verdict, next.binary)
		if c.state != connOpen {
			return
		}
	}
	if c.flags&flagMailFull != 0 {
		c.flags &^= flagMailFull
		c.resume()
	}
}

// keepMail puts back what could not be worked on yet.
func (c *conn) keepMail(letters []letter) {
	kept := &mailbox{letters: letters}
	for _, l := range letters {
		kept.bytes += len(l.payload) + letterOverhead
	}
	c.mail = kept
	if limit := c.loop.limits.Mailbox; c.flags&flagMailFull != 0 && kept.bytes <= limit/2 {
		c.flags &^= flagMailFull
		c.resume()
	}
}
