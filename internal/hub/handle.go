package hub

import (
	"context"
	"sync"

	"github.com/stoa-io/stoa/internal/connid"
	"github.com/stoa-io/stoa/internal/taskqueue"
)

// Handle is the application's hold on a connection, a field of its own type. It
// stays usable after the connection has closed. Exported methods are safe for
// concurrent use unless they say otherwise.
type Handle struct {
	// Immutable.
	shard      *Shard
	ref        connid.Ref
	generation uint32
	remote     string // the peer's address
	app        any

	acked  uint32      // loop-owned; when the client was acknowledged, by the loop's clock
	output outputState // loop-owned
	queue  taskqueue.Queue
	share  *taskShare // owned by the connection's tasks; nil until one publishes

	mu     sync.Mutex
	id     string             // guarded by mu; "" until first asked for
	ended  bool               // guarded by mu
	ctx    context.Context    // guarded by mu; nil until first asked for
	cancel context.CancelFunc // guarded by mu
}

// InitClosed makes the handle of a connection that was never opened, in a
// shard.
func (h *Handle) InitClosed(s *Shard, app any, remote string) {
	h.shard, h.app, h.remote, h.ended = s, app, remote, true
	h.ref = connid.Ref{Slot: connid.NoSlot, Nonce: connid.NewNonce()}
}

// App returns the application's value that the handle belongs to.
func (h *Handle) App() any { return h.app }

// Queue runs the application's tasks of the connection, in order. The
// application initializes it.
func (h *Handle) Queue() *taskqueue.Queue { return &h.queue }

// Shard returns the shard that owns the connection.
func (h *Handle) Shard() *Shard { return h.shard }

// RemoteAddr is the address of the peer.
func (h *Handle) RemoteAddr() string { return h.remote }

// ID returns the connection's ID.
func (h *Handle) ID() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.id == "" {
		h.id = h.ref.Text(h.shard.hub.config.ID)
	}
	return h.id
}

// Context is canceled when the connection closes, or when the peer has closed
// its side.
func (h *Handle) Context() context.Context {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.contextLocked()
}

func (h *Handle) contextLocked() context.Context {
	if h.ctx == nil {
		h.ctx, h.cancel = context.WithCancel(h.shard.loop.Context())
		if h.ended {
			h.cancel()
		}
	}
	return h.ctx
}

// IsClosed reports whether the connection has closed or is about to: nothing
// can be sent any more.
func (h *Handle) IsClosed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ended
}

// Client returns the connection, nil if it is gone. It belongs to the loop.
func (h *Handle) Client() *Client { return h.shard.lookup(h.ref.Slot.Slot(), h.generation) }

// Submit posts a task to the connection's shard. It reports false when the loop
// has ended.
func (h *Handle) Submit(t Task) bool { return h.shard.Submit(t) }

// Notify tells the loop that the queue is idle or shorter; see taskqueue.Owner.
func (h *Handle) Notify() { h.shard.Submit((*queueTask)(h)) }

// queueTask tells the loop that the queue of a handle is idle or shorter.
type queueTask Handle

// Run implements Task.
func (t *queueTask) Run(*Shard) {
	if c := (*Handle)(t).Client(); c != nil {
		c.drainBacklog()
	}
}

// outputState says where the output of a connection's tasks is. The answer to a
// later request and a close must not overtake it, so an idle queue is not
// enough: the output of the last task may still be in the inbox.
type outputState uint8

const (
	outputArrived outputState = iota // all of it has reached the connection
	outputUnknown                    // tasks were queued since
	outputAwaited                    // an outputTask is behind it in the inbox
)

// watchOutput reports whether output of the tasks, which have ended, may be in
// the inbox. Then the loop goes on with the connection when it is not.
func (h *Handle) watchOutput() bool {
	if h.output == outputUnknown {
		if h.output = outputArrived; h.shard.Pending() {
			h.output = outputAwaited
			h.shard.Submit((*outputTask)(h))
		}
	}
	return h.output != outputArrived
}

// outputTask follows the output of the tasks of a handle through the inbox.
type outputTask Handle

// Run implements Task.
func (t *outputTask) Run(s *Shard) {
	if t.output == outputAwaited { // else tasks were queued in the meantime
		t.output = outputArrived
	}
	(*queueTask)(t).Run(s)
}

// end marks the connection as closed.
func (h *Handle) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	if h.cancel != nil {
		h.cancel()
	}
}

// hangUp cancels the context: the peer has closed its side, although its
// messages are still to be handled.
func (h *Handle) hangUp() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.contextLocked()
	h.cancel()
}
