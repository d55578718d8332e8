package node

import (
	"context"
	"log/slog"

	"github.com/stoa-io/stoa/internal/taskqueue"
	"github.com/stoa-io/stoa/wire"
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
		h.Limiter = h.namespace.limit
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
