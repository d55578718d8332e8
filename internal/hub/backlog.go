package hub

import (
	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/internal/session"
)

// backlog queues a connection's messages while an earlier one is still being
// handled: they are handled in the order sent. Limits.ReceiveQueue bounds it
// together with the messages that wait for the connection's handlers: beyond
// that the connection is not read until half of them are handled.
type backlog struct {
	messages []message
	next     int // messages before it are handled
	bytes    int
}

type message struct {
	payload []byte
	binary  bool
}

// messageOverhead is the cost of a queued message in addition to its payload,
// in bytes.
const messageOverhead = 40

func (c *Client) hasBacklog() bool { return c.rare() != nil && c.rare().backlog != nil }

// push queues a copy of a message, and returns its size.
func (b *backlog) push(payload []byte, binary bool) (size int) {
	if b.next > len(b.messages)/2 {
		// A backlog that never runs empty must not grow.
		rest := copy(b.messages, b.messages[b.next:])
		clear(b.messages[rest:])
		b.messages, b.next = b.messages[:rest], 0
	}
	b.messages = append(b.messages, message{append([]byte(nil), payload...), binary})
	size = len(payload) + messageOverhead
	b.bytes += size
	return size
}

// first returns the oldest message; ok is false if there is none.
func (b *backlog) first() (m message, ok bool) {
	if b.next == len(b.messages) {
		return message{}, false
	}
	return b.messages[b.next], true
}

// drop removes the oldest message, and returns its size.
func (b *backlog) drop() (size int) {
	size = len(b.messages[b.next].payload) + messageOverhead
	b.bytes -= size
	b.messages[b.next] = message{}
	b.next++
	return size
}

// push queues a copy of a message that must wait.
func (c *Client) push(payload []byte, binary bool) {
	rare := c.needRare()
	if rare.backlog == nil {
		rare.backlog = new(backlog)
	}
	c.Shard().backlogs += rare.backlog.push(payload, binary)
	c.pauseIfFull()
}

// drainBacklog handles queued messages until the session is busy again. That
// depends on the message, as joins do not wait for each other. Behind the last
// one follows a close that waits for it.
func (c *Client) drainBacklog() {
	c.session.Resume()
	for c.hasBacklog() && c.IsOpen() {
		b := c.rare().backlog
		m, ok := b.first()
		if !ok {
			c.rare().backlog = nil
			break
		}
		verdict := c.receive(m.payload, m.binary)
		if verdict == session.VerdictBusy {
			break
		}
		if c.rare().backlog == b { // else the connection was closed
			c.Shard().backlogs -= b.drop()
		}
		c.judge(verdict, m.binary)
	}
	if c.IsClosing() && !c.Draining() {
		c.FinishClose()
		return
	}
	c.resumeIfRoom()
}

// dropBacklog drops all queued messages.
func (c *Client) dropBacklog() {
	if c.hasBacklog() {
		c.Shard().backlogs -= c.rare().backlog.bytes
		c.rare().backlog = nil
	}
}

// waitingBytes are those of the backlog and of the messages that wait for
// handlers. If they exceed the limit, the handlers' queue notifies the loop
// when half of it is free.
func (c *Client) waitingBytes(limit int) int {
	bytes := 0
	if c.hasBacklog() {
		bytes = c.rare().backlog.bytes
	}
	if c.handle != nil {
		bytes += c.handle.queue.WatchBytes(limit-bytes, c.Shard().limits().ReceiveQueue/2)
	}
	return bytes
}

// pauseIfFull stops reading the connection if too much waits.
func (c *Client) pauseIfFull() {
	limit := c.Shard().limits().ReceiveQueue
	if limit > 0 && !c.IsPaused(engine.PauseBacklog) && c.waitingBytes(limit) > limit {
		c.Pause(engine.PauseBacklog)
	}
}

// resumeIfRoom reads the connection again if little waits. It must not be
// called from inside the session, to which it may pass a message.
func (c *Client) resumeIfRoom() {
	limit := c.Shard().limits().ReceiveQueue
	if c.IsPaused(engine.PauseBacklog) && c.waitingBytes(limit/2) <= limit/2 {
		c.Resume(engine.PauseBacklog)
	}
}
