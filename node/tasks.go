package node

import (
	"context"
	"errors"
	"log/slog"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/hub"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/internal/taskqueue"
	"github.com/stoa-io/stoa/wire"
)

// The keys of the node's log lines.
const (
	logError     = "error"
	logConn      = "conn"
	logReason    = "reason"
	logNode      = "node"
	logOpen      = "connections"
	logHandler   = "handler"
	logNamespace = "namespace"
	logEvent     = "event"
	logStack     = "stack"
	logCount     = "count"
	logDelay     = "delay"
)

// handlerCall is one call of a handler. The type that implements [work] embeds
// it.
type handlerCall struct {
	taskqueue.Task
	kind      HandlerKind
	ending    bool       // it handles the connection's close, so it runs with the node's context
	namespace *Namespace // nil for handlers of the connection as a whole
	event     string     // "" where kind says enough
}

func (h *handlerCall) about() *handlerCall { return h }

// work calls a handler.
type work interface {
	taskqueue.Work
	about() *handlerCall
	// failed receives the peer's answer if Do has returned an error or
	// panicked.
	failed(err error)
}

// notice is a handler call without an answer.
type notice struct {
	handlerCall
	run func(ctx context.Context) error
}

// Do implements taskqueue.Work.
func (n *notice) Do(ctx context.Context) error { return n.run(ctx) }
func (*notice) failed(error)                   {}

// prepare returns the task of a handler call.
func prepare(w work) *taskqueue.Task {
	h := w.about()
	h.Work = w
	if h.namespace != nil {
		h.Limiter = h.namespace.policy.Load().limiter
	}
	return &h.Task
}

// taskOwner is a Conn as the owner of its tasks.
type taskOwner Conn

// Context implements taskqueue.Owner.
func (o *taskOwner) Context(t *taskqueue.Task) context.Context {
	if t.Work.(work).about().ending {
		return o.node.handling
	}
	return o.handle.Context()
}

// Ended implements taskqueue.Owner. The peer learns no more of a panic than
// that there was one.
func (o *taskOwner) Ended(t *taskqueue.Task, out taskqueue.Outcome) {
	c, w, result := (*Conn)(o), t.Work.(work), HandlerOK
	h := w.about()
	switch out.Result {
	case taskqueue.Failed:
		result = HandlerFailed
		c.logHandler(slog.LevelDebug, "handler returned an error", h, logError, out.Text)
		w.failed(wire.ErrorFor(out.Text))
	case taskqueue.Panicked:
		result = HandlerPanicked
		c.logHandler(slog.LevelError, "handler panicked", h, logReason, out.Text, logStack, out.Stack)
		w.failed(wire.ErrInternal)
	}
	poolOf(o.handle.Shard()).count(h.kind, result)
}

// Notify implements taskqueue.Owner.
func (o *taskOwner) Notify() { o.handle.Notify() }

// The handler calls for messages. Each holds its task and its message, so that
// a message costs one piece of memory in addition to its bytes.

// incoming makes the application's message from one that is valid during the
// call only.
func incoming(ns *Namespace, e *session.Event, event string, body []byte) Message {
	m := Message{Namespace: ns.name, Event: event, Body: body, Binary: e.Message.Binary, Volatile: e.Volatile}
	if e.Room != nil {
		m.Room = e.Room.Name()
	}
	return m
}

// emitTask is an emit for a handler.
type emitTask struct {
	handlerCall
	handler EmitHandler
	reports bool // the client wants to know of an error
	emit    EmitEvent
}

// Do implements taskqueue.Work.
func (t *emitTask) Do(ctx context.Context) error { return t.handler(ctx, &t.emit) }

func (t *emitTask) failed(err error) {
	if t.reports {
		t.emit.NSConn.reportRefusal(t.emit.Room, t.event, err)
	}
}

// reportTask tells a client that its emit was refused.
type reportTask struct {
	conn  *Conn
	frame []byte
}

// reportRefusal posts the report.
func (ns *NSConn) reportRefusal(room, event string, err error) {
	refused := wire.Message{Namespace: []byte(ns.namespace.name), Room: []byte(room), Event: []byte(event), NoOp: true}
	ns.conn.handle.Submit(&reportTask{ns.conn, newErrorFrame(&refused, err.Error())})
}

// Run implements hub.Task: it queues the report.
func (t *reportTask) Run(*hub.Shard) {
	if c := t.conn.handle.Client(); c != nil && c.IsOpen() {
		c.SendMessage(t.frame)
	}
}

// askTask is an ask for a handler. It carries the answer back to the loop.
type askTask struct {
	handlerCall
	handler AskHandler
	ask     AskRequest
	asked   wire.Message // as received; the answer repeats most of it
	frame   []byte       // of the answer
}

// Do implements taskqueue.Work.
func (t *askTask) Do(ctx context.Context) error {
	if err := t.handler(ctx, &t.ask); err != nil {
		return err
	}
	if err := checkBody(t.ask.reply, t.asked.Binary); err != nil {
		return t.ask.NSConn.conn.unusable(&t.handlerCall, err)
	}
	t.asked.Body = t.ask.reply
	t.answer(newMessageFrame(&t.asked))
	return nil
}

// failed answers with the error, always as text: neffos.js cannot read one in a
// binary frame (protocol.md section 3, 9).
func (t *askTask) failed(err error) { t.answer(newErrorFrame(&t.asked, err.Error())) }

func (t *askTask) answer(frame []byte) {
	t.frame = frame
	t.from().Submit(t)
}

func (t *askTask) from() *hub.Handle { return &t.ask.NSConn.conn.handle }

// Run implements hub.Task: it queues the answer.
func (t *askTask) Run(*hub.Shard) {
	if c := t.from().Client(); c != nil && c.IsOpen() {
		c.SendMessage(t.frame)
	}
}

// relayTask passes a message on to other clients, after a handler has seen it
// or earlier messages of the connection were handled.
type relayTask struct {
	handlerCall
	handler RelayHandler // nil: no handler sees it
	relay   RelayRequest
	room    string
	pass    func(m *Message) // sends it on
	refused func(err error)  // nil for an emit without reports
}

func newRelayTask(made *Conn, ns *Namespace, e *session.Event, event string, body []byte, h RelayHandler) *relayTask {
	t := &relayTask{handler: h}
	t.relay = RelayRequest{
		NSConn: made.nsconn(ns.name), Message: incoming(ns, e, event, body), IsAsk: len(e.Message.Token) > 0 && e.Publish == nil,
	}
	t.room = t.relay.Room
	t.event, t.Size = event, len(body)
	if h != nil {
		// A message that no handler sees does not wait for the limit of
		// handlers either.
		t.kind, t.namespace = HandlerRelay, ns
	}
	return t
}

// Do implements taskqueue.Work.
func (t *relayTask) Do(ctx context.Context) error {
	m := &t.relay.Message
	if t.handler != nil {
		if err := t.handler(ctx, &t.relay); err != nil {
			return err
		}
		m.Namespace, m.Room = t.relay.NSConn.namespace.name, t.room // the handler must not change them
		if err := m.check(); err != nil {
			return t.relay.NSConn.conn.unusable(&t.handlerCall, err)
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

// unusable reports a message or reply that a handler has left unusable. The
// mistake is the application's, so the client learns no more than that there
// was one.
func (c *Conn) unusable(h *handlerCall, err error) error {
	c.logHandler(slog.LevelError, "handler left an unusable message", h, logError, err)
	return wire.ErrInternal
}

// publish relays a message of the connection.
func (c *Conn) publish(channel string, m *Message) {
	env := &cluster.Envelope{Binary: m.Binary, Origin: c.ID(), Volatile: m.Volatile, Payload: m.payload()}
	if m.Room != "" && !m.Volatile {
		if kept := c.node.history(m.Namespace); kept != nil {
			kept.Keep(env)
			env.User = c.User()
		}
	}
	err := c.handle.Publish(channel, env)
	if err != nil && !errors.Is(err, cluster.ErrClosed) {
		poolOf(c.handle.Shard()).countDropped(m.Binary)
	}
}

// logHandler logs the outcome of a handler of the application.
func (c *Conn) logHandler(level slog.Level, message string, h *handlerCall, args ...any) {
	log := c.node.log
	if !log.Enabled(context.Background(), level) {
		return
	}
	about := []any{logConn, c.ID(), logHandler, h.kind.String(), logEvent, h.event}
	if h.namespace != nil {
		about = append(about, logNamespace, h.namespace.name)
	}
	log.Log(context.Background(), level, message, append(about, args...)...)
}
