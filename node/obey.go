package node

import (
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// command sends a command to a node, this one included. lost is called, at most
// once and on any goroutine, if it is certain that nobody got it.
func (n *Node) command(node string, cmd *command, lost func(error)) {
	if node == n.config.ID {
		n.obey(cmd)
		return
	}
	n.publishCounted(cluster.NodeChannel(node), cmd, func(nodes int, err error) {
		switch {
		case err != nil:
			lost(err)
		case nodes == 0:
			lost(wire.ErrGone)
		}
	})
}

// publishCounted publishes a command and learns how many nodes it reached. A
// broker that cannot tell is taken to have reached one.
func (n *Node) publishCounted(channel string, cmd *command, done func(nodes int, err error)) {
	env := &cluster.Envelope{Kind: cluster.EnvelopeControl, Payload: cmd.append(nil)}
	if counting, ok := n.broker.(cluster.CountingPublisher); ok {
		counting.PublishCount(channel, env, done)
		return
	}
	done(1, n.broker.Publish(channel, env))
}

// deliverCommand takes a command of another node, or of this one if it asks a
// room.
func (n *Node) deliverCommand(env *cluster.Envelope) {
	cmd, err := parseCommand(env.Payload)
	if err != nil {
		n.badCommands.Add(1)
		return
	}
	n.obey(cmd)
}

// obey carries out a command that is addressed to this node. It neither blocks nor
// calls the broker, as it may be called by it: what has to be said leaves from a
// loop.
func (n *Node) obey(cmd *command) {
	switch cmd.kind {
	case commandAnswer:
		n.answered(cmd)
	case commandDone:
		n.saidAll(cmd)
	case commandAskRoom:
		n.askRoomHere(cmd)
	default:
		p, s, ok := parseConnID(n.config.ID, cmd.target)
		if !ok || p.loop() >= len(n.loops) {
			// Any loop can tell that there is no such connection.
			n.loops[0].post(item{kind: itemCommand, place: noPlace, errand: &errand{command: cmd}})
			return
		}
		n.loops[p.loop()].post(item{kind: itemCommand, place: p, secret: s, errand: &errand{command: cmd}})
	}
}

// reply sends the answer to a command about a connection.
func (n *Node) reply(to, answer *command) {
	if to.id == 0 {
		return
	}
	answer.kind, answer.id, answer.from, answer.target = commandAnswer, to.id, n.config.ID, to.target
	n.post(to.from, answer)
}

// post sends a command that nobody misses if it is lost: whoever waits for it has
// a deadline.
func (n *Node) post(node string, cmd *command) { n.command(node, cmd, func(error) {}) }

// obey carries out a command about a connection of this loop.
func (l *loop) obey(cmd *command, p place, s secret) {
	if cmd.kind == commandRollCall {
		l.node.answerRollCall(cmd)
		return
	}
	c := l.find(p, s)
	if c == nil || c.state != connOpen {
		l.node.reply(cmd, &command{err: wire.ErrGone.Error()})
		return
	}
	if cmd.kind == commandClose {
		// Another node has checked the code and the reason.
		c.closeWith(wire.Code(cmd.code), string(cmd.payload))
		l.node.reply(cmd, &command{})
		return
	}
	if cmd.kind == commandFind {
		l.node.reply(cmd, &command{payload: c.info()})
		return
	}
	m, err := wire.Parse(cmd.payload, cmd.binary)
	if err != nil {
		l.node.reply(cmd, &command{err: wire.ErrInvalidPayload.Error()})
		return
	}
	who := &commandAsker{command: cmd}
	if cmd.kind == commandConnect && c.tooEarly(cmd, p, s) {
		return
	}
	switch cmd.kind {
	case commandEmit:
		who.answer(c, &session.Answer{Err: c.emit(&m)})
	case commandAsk:
		c.ask(who, cmd.timeout, func() (uint64, error) { return c.askEvent(&m) })
	case commandConnect:
		c.obeyConnect(who, &m)
	case commandJoin:
		c.obeyJoin(who, &m)
	case commandDisconnect, commandLeave:
		c.ask(who, cmd.timeout, func() (uint64, error) { return c.askLeave(cmd.kind, &m) })
	default:
		l.node.reply(cmd, &command{err: wire.ErrUnhandled.Error()})
	}
}

// commandAsker answers the node that sent a command.
type commandAsker struct {
	command *command
	channel string // held meanwhile; empty: none
}

// answer implements asker.
func (r *commandAsker) answer(c *conn, a *session.Answer) {
	if r.channel != "" {
		c.loop.unhold(r.channel)
	}
	answer := &command{}
	switch {
	case a.Err == wire.ErrClosed:
		answer.err = wire.ErrGone.Error()
	case a.Err != nil:
		answer.err = errorText(a.Err)
	case a.Message != nil:
		answer.payload = append([]byte(nil), a.Message.Body...)
		answer.binary = a.Message.Binary
	}
	c.loop.node.reply(r.command, answer)
}

// addressed is what a message of this node is about, as the session knows it; the
// room is nil if the message names none. The error says what is missing.
func (c *conn) addressed(m *wire.Message) (ns session.Namespace, in session.Room, err error) {
	if ns = c.session.Namespace(m.Namespace); ns == nil {
		return nil, nil, wire.ErrBadNamespace
	}
	if len(m.Room) > 0 {
		if in = c.session.Room(ns, m.Room); in == nil {
			return ns, nil, wire.ErrBadRoom
		}
	}
	return ns, in, nil
}

func (c *conn) emit(m *wire.Message) error {
	ns, in, err := c.addressed(m)
	if err != nil {
		return err
	}
	return c.session.Emit(ns, in, string(m.Event), m.Body, m.Binary)
}

func (c *conn) askEvent(m *wire.Message) (uint64, error) {
	ns, in, err := c.addressed(m)
	if err != nil {
		return 0, err
	}
	return c.session.Ask(ns, in, string(m.Event), m.Body, m.Binary)
}

func (c *conn) askLeave(kind commandKind, m *wire.Message) (uint64, error) {
	ns := c.session.Namespace(m.Namespace)
	if ns == nil {
		return 0, wire.ErrBadNamespace
	}
	if kind == commandDisconnect {
		return c.session.AskDisconnect(ns)
	}
	in := c.session.Room(ns, m.Room)
	if in == nil {
		return 0, wire.ErrBadRoom
	}
	return c.session.AskLeave(ns, in)
}

// connectPause is what has to pass between the acknowledgement and a connect that
// the server asks for, in milliseconds: neffos.js would not notice an earlier one
// (protocol.md section 5, 13).
const connectPause = 30

// tooEarly puts off a command to connect until the pause has passed.
func (c *conn) tooEarly(cmd *command, p place, s secret) bool {
	l := c.loop
	if c.handle == nil {
		return false // nobody here has met the connection at its beginning
	}
	passed := l.now - c.handle.acked
	if passed >= connectPause {
		return false
	}
	time.AfterFunc((connectPause-time.Duration(passed))*time.Millisecond, func() {
		l.post(item{kind: itemCommand, place: p, secret: s, errand: &errand{command: cmd}})
	})
	return true
}

// obeyConnect asks the client to connect to a namespace, once the loop hears it.
func (c *conn) obeyConnect(who *commandAsker, m *wire.Message) {
	name := string(m.Namespace)
	if c.loop.node.namespaces[name] == nil {
		who.answer(c, &session.Answer{Err: wire.ErrBadNamespace})
		return
	}
	handle := c.loop.node.newNamespace(name)
	body := append([]byte(nil), m.Body...)
	c.askHolding(who, handle.channel, func() (uint64, error) { return c.session.AskConnect(handle, body) })
}

// obeyJoin asks the client to join a room, once the loop hears it.
func (c *conn) obeyJoin(who *commandAsker, m *wire.Message) {
	ns := c.session.Namespace(m.Namespace)
	if ns == nil {
		who.answer(c, &session.Answer{Err: wire.ErrBadNamespace})
		return
	}
	name := string(m.Room)
	handle := c.loop.node.newRoom(name, cluster.RoomChannel(ns.Name(), name))
	c.askHolding(who, handle.channel, func() (uint64, error) { return c.session.AskJoin(ns, handle, nil) })
}

// askHolding asks the client something that will put it into a channel's audience,
// when the loop hears the channel.
func (c *conn) askHolding(who *commandAsker, channel string, question func() (uint64, error)) {
	c.loop.hold(c, channel, func(err error) {
		if err != nil {
			who.answer(c, &session.Answer{Err: wire.ErrorFor(joinError(err))})
			return
		}
		who.channel = channel
		c.ask(who, who.command.timeout, question)
	})
}
