package node

import (
	"context"
	"errors"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/hub"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// The handler calls for messages. Each holds its task and its message, so that a
// message costs one piece of memory in addition to its bytes.

// incoming makes the application's message from one that is valid during the call
// only.
func incoming(ns *Namespace, e *session.Event, event string, body []byte) Message {
	m := Message{Namespace: ns.name, Event: event, Body: body, Binary: e.Message.Binary}
	if e.Room != nil {
		m.Room = e.Room.Name()
	}
	return m
}

// emitTask is an emit for a handler.
type emitTask struct {
	handlerCall
	from    *NSConn
	handler EmitHandler
	message Message
}

// Do implements taskqueue.Work.
func (t *emitTask) Do(ctx context.Context) error { return t.handler(ctx, t.from, &t.message) }
func (*emitTask) failed(error)                   {}

// askTask is an ask for a handler. It carries the answer back to the loop.
type askTask struct {
	handlerCall
	from    *NSConn
	handler AskHandler
	message Message
	asked   wire.Message // as received; the answer repeats most of it
	frame   []byte       // of the answer
}

// Do implements taskqueue.Work.
func (t *askTask) Do(ctx context.Context) error {
	body, err := t.handler(ctx, t.from, &t.message)
	if err == nil {
		err = checkBody(body, t.asked.Binary)
	}
	if err != nil {
		return err
	}
	t.asked.Body = body
	t.answer(newMessageFrame(&t.asked))
	return nil
}

// failed answers with the error, always as text: neffos.js cannot read one in a
// binary frame (protocol.md section 3, 9).
func (t *askTask) failed(err error) { t.answer(newErrorFrame(&t.asked, err.Error())) }

func (t *askTask) answer(frame []byte) {
	t.frame = frame
	t.from.conn.handle.Submit(t)
}

// Run implements hub.Task: it queues the answer.
func (t *askTask) Run(*hub.Shard) {
	if c := t.from.conn.handle.Client(); c != nil && c.IsOpen() {
		c.SendMessage(t.frame)
	}
}

// relayTask passes a message on to other clients, after a handler has seen it or
// earlier messages of the connection were handled.
type relayTask struct {
	handlerCall
	from    *NSConn
	handler RelayHandler // nil: no handler sees it
	message Message
	room    string
	pass    func(m *Message) // sends it on
	refused func(err error)  // nil for an emit
}

func newRelayTask(made *Conn, ns *Namespace, e *session.Event, event string, body []byte, h RelayHandler) *relayTask {
	t := &relayTask{from: made.nsconn(ns.name), handler: h, message: incoming(ns, e, event, body)}
	t.room = t.message.Room
	t.event, t.Size = event, len(body)
	if h != nil {
		// A message that no handler sees does not wait for the limit of handlers either.
		t.kind, t.namespace = HandlerRelay, ns
	}
	return t
}

// Do implements taskqueue.Work.
func (t *relayTask) Do(ctx context.Context) error {
	m := &t.message
	if t.handler != nil {
		if err := t.handler(ctx, t.from, m); err != nil {
			return err
		}
		m.Namespace, m.Room = t.from.namespace.name, t.room // the handler must not change them
		if err := m.check(); err != nil {
			return err
		}
	}
	t.pass(m)
	return nil
}

func (t *relayTask) failed(err error) {
	if t.refused != nil {
		t.refused(err)
	}
}

// publish relays a message of the connection.
func (c *Conn) publish(channel string, m *Message) {
	err := c.node.broker.Publish(channel, &cluster.Envelope{Binary: m.Binary, Origin: c.ID(), Payload: m.payload()})
	if err != nil && !errors.Is(err, cluster.ErrClosed) {
		poolOf(c.handle.Shard()).countDropped(m.Binary)
	}
}
