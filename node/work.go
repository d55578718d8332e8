package node

import (
	"context"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// The handler calls that messages bring about. Each holds its task and its message,
// so that a message costs one piece of memory in addition to its bytes.

// incoming makes a message of the program's own from one that is valid during
// the call only.
func incoming(ns *namespace, e *session.Event, event string, body []byte) Message {
	m := Message{Namespace: ns.name, Event: event, Body: body, Binary: e.Message.Binary}
	if e.Room != nil {
		m.Room = e.Room.Name()
	}
	return m
}

// emitWork is an emit for a handler.
type emitWork struct {
	handlerCall
	to      *NSConn
	handler EmitHandler
	message Message
}

func (w *emitWork) Do(ctx context.Context) error { return w.handler(ctx, w.to, &w.message) }
func (*emitWork) failed(error)                   {}

// askWork is an ask for a handler.
type askWork struct {
	handlerCall
	to      *NSConn
	handler AskHandler
	message Message
	asked   wire.Message // as received; the answer repeats most of it
}

func (w *askWork) Do(ctx context.Context) error {
	body, err := w.handler(ctx, w.to, &w.message)
	if err == nil {
		err = checkBody(body, w.asked.Binary)
	}
	if err != nil {
		return err
	}
	w.asked.Body = body
	w.answer(newMessageFrame(&w.asked))
	return nil
}

// failed answers with the error, always as text: neffos.js cannot read one in a
// binary frame (protocol.md section 3, 9).
func (w *askWork) failed(err error) { w.answer(newErrorFrame(&w.asked, err.Error())) }

func (w *askWork) answer(frame []byte) {
	c := w.to.conn
	c.loop.post(item{kind: itemReply, place: c.place, generation: c.generation, frame: frame})
}

// relayWork is a message on its way to others, that a handler sees before or that
// must not overtake earlier ones which handlers work on.
type relayWork struct {
	handlerCall
	from    *NSConn
	handler RelayHandler // nil: nobody wants to see it
	message Message
	room    string
	pass    func(m *Message) // sends it on
	refused func(err error)  // nil: nobody waits
}

func newRelayWork(made *Conn, ns *namespace, e *session.Event, event string, body []byte, h RelayHandler) *relayWork {
	w := &relayWork{from: made.member(ns.name), handler: h, message: incoming(ns, e, event, body)}
	w.room = w.message.Room
	w.event, w.Size = event, len(body)
	if h != nil {
		// What no handler sees does not wait for the limit of the handlers either.
		w.kind, w.namespace = HandlerRelay, ns.declared
	}
	return w
}

func (w *relayWork) Do(ctx context.Context) error {
	m := &w.message
	if w.handler != nil {
		if err := w.handler(ctx, w.from, m); err != nil {
			return err
		}
		m.Namespace, m.Room = w.from.namespace.name, w.room // they are not the handler's to change
		if err := m.check(); err != nil {
			return err
		}
	}
	w.pass(m)
	return nil
}

func (w *relayWork) failed(err error) {
	if w.refused != nil {
		w.refused(err)
	}
}
