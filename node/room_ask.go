package node

import (
	"math/bits"
	"slices"
	"sync/atomic"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// askRoom publishes a question in a room's channel: it reaches the nodes that have
// members, behind everything that was published there before.
func (n *Node) askRoom(q *question, m *Message, except string, timeout uint32) (id uint64) {
	id = n.questions.add(q)
	n.publishAsk(id, m, except, timeout)
	return id
}

// publishAsk publishes a question that is open already.
func (n *Node) publishAsk(id uint64, m *Message, except string, timeout uint32) {
	cmd := &command{
		kind: commandAskRoom, id: id, from: n.config.ID, target: except,
		timeout: timeout, binary: m.Binary, payload: m.payload(),
	}
	n.publishCounted(cluster.RoomChannel(m.Namespace, m.Room), cmd, func(nodes int, err error) {
		if err == nil {
			n.reached(id, nodes)
			return
		}
		if open := n.questions.take(id); open != nil {
			open.settle(Answers{}, wire.ErrUnavailable)
		}
	})
}

// roomAsk is a question to a room on one of the nodes that have members. It is
// the asker of every member's session, on all loops.
type roomAsk struct {
	node      *Node
	command   *command
	message   wire.Message
	channel   string
	except    exception    // the one who asks
	left      atomic.Int32 // loops and members that have not said everything
	satisfied atomic.Bool  // a good answer went out, and no more are wanted
	unhandled atomic.Bool  // somebody has no handler for the event
}

// askRoomHere asks the members on this node's loops.
func (n *Node) askRoomHere(cmd *command) {
	m, err := wire.Parse(cmd.payload, cmd.binary)
	if err != nil {
		n.badCommands.Add(1)
		return
	}
	ask := &roomAsk{
		node: n, command: cmd, message: m,
		channel: cluster.RoomChannel(string(m.Namespace), string(m.Room)),
	}
	ask.except.place = noPlace
	if p, s, ok := parseConnID(n.config.ID, cmd.target); ok {
		ask.except = exception{p, s}
	}
	if !cmd.every {
		n.roomAsks.begin(cmd)
	}
	loops := n.interest.Loops(ask.channel)
	if loops == 0 {
		loops = 1 // which finds nobody, and says so
	}
	ask.left.Store(int32(bits.OnesCount64(loops)))
	for i, l := range n.loops {
		if loops&(1<<i) != 0 {
			l.post(item{kind: itemAskRoom, errand: &errand{roomAsk: ask}})
		}
	}
}

// askMembers asks the members of the room on this loop, but for the one who asks.
func (l *loop) askMembers(ask *roomAsk) {
	defer ask.oneLess()
	to := l.channels[ask.channel]
	if to == nil {
		return
	}
	// A member that turns out to be too slow leaves on the spot.
	for _, c := range slices.Clone(to.Members()) {
		if c.state != connOpen || c.is(ask.except) || ask.satisfied.Load() {
			continue
		}
		ask.left.Add(1)
		c.ask(ask, ask.command.timeout, func() (uint64, error) { return c.askEvent(&ask.message) })
	}
}

// answer implements asker. An error of the client is an answer too, but for the
// one that says only that it has no handler, when one answer is wanted.
func (ask *roomAsk) answer(c *conn, a *session.Answer) {
	defer ask.oneLess()
	every := ask.command.every
	switch {
	case a.Message == nil:
		return // it has gone, or its time was up
	case a.Err == wire.ErrUnhandled && !every:
		ask.unhandled.Store(true)
		return
	case !every && ask.satisfied.Swap(true):
		return
	}
	answer := &command{
		kind: commandAnswer, id: ask.command.id, from: ask.node.config.ID, target: c.ID(),
	}
	if a.Err != nil {
		answer.err = errorText(a.Err)
	} else {
		answer.payload = append([]byte(nil), a.Message.Body...)
		answer.binary = a.Message.Binary
	}
	ask.node.post(ask.command.from, answer)
}

// oneLess tells the asking node when nobody here is left to answer.
func (ask *roomAsk) oneLess() {
	if ask.left.Add(-1) > 0 {
		return
	}
	done := &command{kind: commandDone, id: ask.command.id, from: ask.node.config.ID}
	if ask.unhandled.Load() {
		done.err = wire.ErrUnhandled.Error()
	}
	ask.node.post(ask.command.from, done)
	if !ask.command.every {
		// Last, so that no roll call finds this node idle that has not said so.
		ask.node.roomAsks.end(ask.command)
	}
}

// clientAsk is an ask of a client to a room of a relaying namespace.
type clientAsk struct {
	place      place
	generation uint32
	id         uint64       // of the question
	message    wire.Message // owned
	answer     Answer
	err        error
}

// relayAsk passes a client's ask on to the others in its room; the first answer
// comes back.
func (c *conn) relayAsk(e *session.Event) MessageResult {
	asked := c.openRelayedAsk(e)
	if asked == nil {
		return MessageRefused
	}
	m := &Message{
		Namespace: string(e.Message.Namespace), Room: string(e.Message.Room), Event: string(e.Message.Event),
		Body: e.Message.Body, Binary: e.Message.Binary,
	}
	c.loop.node.publishAsk(asked.id, m, c.ID(), c.loop.node.relayedAskTimeout())
	return MessageRelayed
}

// relayAskLater does so as a task, as the handler leaves the message.
func (c *conn) relayAskLater(ns *namespace, e *session.Event, event string, h RelayHandler) MessageResult {
	asked := c.openRelayedAsk(e)
	if asked == nil {
		return MessageRefused
	}
	made, n := c.handled(), c.loop.node
	w := newRelayWork(made, ns, e, event, asked.message.Body, h)
	w.pass = func(m *Message) { n.publishAsk(asked.id, m, made.ID(), n.relayedAskTimeout()) }
	w.refused = func(err error) {
		if open := n.questions.take(asked.id); open != nil {
			open.settle(Answers{}, err)
		}
	}
	c.hand(w)
	return MessageRelayed
}

// openRelayedAsk opens the question that a client asks others, or refuses it and
// returns nil.
func (c *conn) openRelayedAsk(e *session.Event) *clientAsk {
	l := c.loop
	asks := c.needAsks()
	if limit := l.limits.Asks; limit > 0 && len(asks.relayed) >= limit {
		c.session.ReplyError(e.Message, wire.ErrTooManyAsks.Error())
		return nil
	}
	c.published |= e.Room.(*room).partition
	asked := &clientAsk{place: c.place(), generation: c.generation, message: e.Message.Clone()}
	asked.id = l.node.questions.add(&question{settle: func(all Answers, err error) {
		asked.err = err
		if len(all.Answers) > 0 {
			asked.answer, asked.err = all.Answers[0], all.Answers[0].Err
		}
		l.post(item{kind: itemRelayedAnswer, errand: &errand{clientAsk: asked}})
	}})
	asks.relayed = append(asks.relayed, relayedAsk{asked.id, l.now + l.node.relayedAskTimeout()})
	return asked
}

// relayedAskTimeout is how long a client's ask may take others, in milliseconds.
func (n *Node) relayedAskTimeout() uint32 { return uint32(n.config.Timeouts.Ask.Milliseconds()) }

// relayedAnswer brings the answer back to the client that asked.
func (l *loop) relayedAnswer(asked *clientAsk) {
	c := l.lookup(asked.place, asked.generation)
	if c == nil {
		return
	}
	if c.asks != nil {
		c.asks.relayed = slices.DeleteFunc(c.asks.relayed, func(r relayedAsk) bool { return r.id == asked.id })
		c.tidyAsks()
	}
	if c.state != connOpen {
		return
	}
	if asked.err != nil {
		c.session.ReplyError(&asked.message, errorText(asked.err))
		return
	}
	asked.message.Binary = asked.answer.Binary
	c.session.Reply(&asked.message, asked.answer.Body)
}
