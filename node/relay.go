package node

import (
	"errors"
	"slices"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// Send implements session.Driver: a message of this node for its client.
func (c *conn) Send(payload []byte, binary bool) {
	c.loop.stats.MessagesOut++
	c.enqueue(newFrame(opcode(binary), payload), 1)
}

// Hello implements session.Driver: nothing stands between a client that passed
// the handshake and its acknowledgement.
func (c *conn) Hello() {
	c.setDeadline(0)
	// Before what the client has sent along is worked on.
	c.tellOpened()
	if c.handle != nil {
		c.handle.acked = c.loop.now
	}
	c.session.Acknowledge(connID(c.loop.node.config.ID, c.place(), c.secret))
}

// Acknowledged implements session.Driver; only clients are acknowledged.
func (c *conn) Acknowledged(string) {}

// Refused implements session.Driver; only clients are refused.
func (c *conn) Refused(string) {}

// publish sends an emit to everybody else in the channel.
func (c *conn) publish(channel string, partition partitions, e *session.Event) MessageResult {
	l := c.loop
	payload := e.Payload
	if !e.Message.Verbatim {
		l.payload = wire.Append(l.payload[:0], &wire.Message{
			Namespace: e.Message.Namespace,
			Room:      e.Message.Room,
			Event:     e.Message.Event,
			Body:      e.Message.Body,
		})
		payload = l.payload
	}
	c.published |= partition
	env := &l.envelope
	*env = cluster.Envelope{Binary: e.Message.Binary, Origin: c.ID(), Payload: payload}
	err := l.node.broker.Publish(channel, env)
	env.Payload = nil
	if err != nil {
		if !errors.Is(err, cluster.ErrClosed) {
			l.logDebug("message not published", c, logError, err)
		}
		return MessageDropped
	}
	return MessageRelayed
}

func frameType(binary bool) int {
	if binary {
		return 1
	}
	return 0
}

// count adds a message to what became of it. An event is counted where it is
// handled.
func (c *conn) count(verdict session.Verdict, binary bool) {
	result := &c.loop.stats.MessagesIn[frameType(binary)]
	switch verdict {
	case session.VerdictHandled, session.VerdictEarly:
		result[MessageSystem]++
	case session.VerdictAnswer:
		result[MessageAnswer]++
	case session.VerdictLateAnswer:
		result[MessageLateAnswer]++
	case session.VerdictEmpty, session.VerdictIgnored:
		result[MessageIgnored]++
	case session.VerdictInvalid:
		result[MessageInvalid]++
	case session.VerdictRefused, session.VerdictEarlyOverflow:
		result[MessageRefused]++
	case session.VerdictEvent, session.VerdictNative, session.VerdictBusy:
	}
}

// Deliver implements cluster.Handler: a message of the broker becomes a frame,
// once, and enters the inbox of every loop that has members. The broker calls it
// under the channel's lock, which gives all loops one order.
func (n *Node) Deliver(channel string, env *cluster.Envelope) {
	if env.Kind == cluster.EnvelopeControl {
		n.deliverCommand(env)
		return
	}
	loops := n.interest.Loops(channel)
	if loops == 0 {
		return
	}
	it := item{
		kind:    itemDeliver,
		channel: channel,
		frame:   newFrame(opcode(env.Binary), env.Payload),
		place:   noPlace,
	}
	if p, s, ok := parseConnID(n.config.ID, env.Origin); ok {
		it.place, it.secret = p, s
	}
	if len(env.Except) > 0 {
		it.errand = &errand{except: n.exceptions(env.Except)}
	}
	for i, l := range n.loops {
		if loops&(1<<i) != 0 {
			l.post(it)
		}
	}
}

// exceptions are those of the connections that are this node's.
func (n *Node) exceptions(ids []string) (here []exception) {
	for _, id := range ids {
		if p, s, ok := parseConnID(n.config.ID, id); ok {
			here = append(here, exception{p, s})
		}
	}
	return here
}

// maxMergedFrame bounds the piece into which the frames of a run are copied.
const maxMergedFrame = 32 << 10

// deliveryRun returns how many of the next items are deliveries to one channel
// without anything in between.
func (l *loop) deliveryRun() int {
	first := &l.batch[l.batchNext]
	n := 1
	for i := l.batchNext + 1; i < len(l.batch); i++ {
		it := &l.batch[i]
		if it.kind != itemDeliver || it.channel != first.channel {
			break
		}
		n++
	}
	return n
}

// deliver queues the frames of a run of items for the members of their channel.
// Several frames are copied into one piece first, once for all members: a member
// then costs one entry and one write, however many messages there were. Whoever
// sent one of them gets the others as they are. It returns how many entries were
// queued.
func (l *loop) deliver(run []item) int {
	to := l.channels[run[0].channel]
	if to == nil {
		return 1
	}
	queued := 1
	for len(run) > 0 {
		members := to.Members()
		n, piece := l.merge(run, len(members))
		origins := l.origins(run[:n])
		// A member that turns out to be too slow leaves the room on the spot, and
		// the last one takes its place: backwards that one has been served.
		for i := len(members) - 1; i >= 0; i-- {
			c := members[i]
			if len(origins) > 0 && slices.Contains(origins, c) {
				queued += c.deliverOthers(run[:n])
			} else {
				c.enqueue(piece, n)
				l.stats.Deliveries += uint64(n)
				queued++
			}
			if c.state != connOpen {
				members = to.Members()
			}
		}
		run = run[n:]
	}
	return queued
}

// merge returns the first frames of a run as one piece, and how many they are.
func (l *loop) merge(run []item, members int) (n int, piece []byte) {
	size := 0
	for n < len(run) && (n == 0 || size+len(run[n].frame) <= maxMergedFrame) {
		size += len(run[n].frame)
		n++
	}
	if n == 1 || members < 2 {
		return 1, run[0].frame
	}
	piece = make([]byte, 0, size)
	for i := range run[:n] {
		piece = append(piece, run[i].frame...)
	}
	return n, piece
}

// origins returns the connections of this loop that must not get all of the
// items: they sent one, or are excepted.
func (l *loop) origins(run []item) []*conn {
	origins := l.senders[:0]
	for i := range run {
		it := &run[i]
		if c := l.find(it.place, it.secret); c != nil && !slices.Contains(origins, c) {
			origins = append(origins, c)
		}
		for _, e := range it.excepted() {
			if c := l.find(e.place, e.secret); c != nil && !slices.Contains(origins, c) {
				origins = append(origins, c)
			}
		}
	}
	l.senders = origins
	return origins
}

// excluded reports whether the connection must not get the item.
func (c *conn) excluded(it *item) bool {
	return c.is(exception{it.place, it.secret}) || slices.ContainsFunc(it.excepted(), c.is)
}

func (c *conn) is(e exception) bool { return e.place == c.place() && e.secret == c.secret }

// find returns the connection with this place and secret, if it is still there.
func (l *loop) find(p place, s secret) *conn {
	if p == noPlace || p.loop() != l.number || int(p.slot()) >= len(l.conns) {
		return nil
	}
	if c := l.conns[p.slot()]; c != nil && c.secret == s {
		return c
	}
	return nil
}

// deliverOthers queues the frames from which the connection is not excluded. One
// that turns out to be too slow gets no more: its close frame is the last.
func (c *conn) deliverOthers(run []item) (queued int) {
	for i := range run {
		if c.state == connOpen && !c.excluded(&run[i]) {
			c.enqueue(run[i].frame, 1)
			c.loop.stats.Deliveries++
			queued++
		}
	}
	return queued
}
