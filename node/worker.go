package node

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stoa-io/stoa/wire"
)

// task is one call of the program's code for one connection.
type task struct {
	kind      HandlerKind
	namespace *Namespace // nil for what belongs to the connection as a whole
	event     string     // "" where kind says enough
	size      int        // bytes of the message that waits with it
	ending    bool       // it is about the connection's end, so it runs with the node's context
	work      work

	next *task // of the worker
}

// work is what a task does.
type work interface {
	// do calls the program.
	do(ctx context.Context) error
	// failed hears what the peer is told if do has returned an error or panicked.
	failed(err error)
}

// notice is work of which nobody hears the outcome.
type notice func(ctx context.Context) error

func (n notice) do(ctx context.Context) error { return n(ctx) }
func (notice) failed(error)                   {}

// taskOverhead is what a task costs beside its message, in bytes.
const taskOverhead = 200

// worker runs the tasks of one connection, one at a time and in order. It is in line
// for a goroutine, or has one, only while there are some, and has none while it waits
// for a limiter.
type worker struct {
	conn *Conn // immutable

	mu          sync.Mutex
	first, last *task         // guarded by mu; waiting, oldest first
	bytes       int           // guarded by mu; of what waits and runs
	state       atomic.Uint32 // a workerState; changed with mu held
	holds       *limiter      // guarded by mu; has let the running task, or the first one, pass
	waits       workerWaits   // guarded by mu; what the loop wants to be told
	current     *task         // guarded by mu; nil: none runs
	since       time.Time     // guarded by mu; when current began
}

// workerState says what a worker is doing.
type workerState = uint32

const (
	workerIdle    workerState = iota
	workerRunning             // it has a goroutine, or will have one at once
	workerParked              // it waits for a limiter
)

// workerWaits is what the loop waits for.
type workerWaits uint8

const (
	waitsIdle workerWaits = 1 << iota // all tasks have ended
	waitsRoom                         // half of the mailbox is free
)

// add appends a task and sees to it that it is run. It returns the bytes that wait.
func (w *worker) add(t *task) (bytes int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last == nil {
		w.first = t
	} else {
		w.last.next = t
	}
	w.last = t
	w.bytes += t.size + taskOverhead
	if w.state.Load() == workerIdle {
		w.start()
	}
	return w.bytes
}

// start puts the worker in line for a goroutine. It is called with mu held.
func (w *worker) start() {
	w.state.Store(workerRunning)
	w.conn.loop.workers.enter(w)
}

// stop notes that the worker is about to give its goroutine back. It is called with
// mu held.
func (w *worker) stop(state workerState) {
	w.state.Store(state)
	w.conn.loop.workers.leave(w)
}

// busy reports whether a task waits or runs.
func (w *worker) busy() bool { return w.state.Load() != workerIdle }

// await is busy for a loop that wants to know when no task does any more.
func (w *worker) await() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.busy() {
		return false
	}
	w.waits |= waitsIdle
	return true
}

// load returns the bytes that wait. If they are more than the limit, the loop
// wants to know when half of it is free.
func (w *worker) load(limit int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bytes > limit {
		w.waits |= waitsRoom
	}
	return w.bytes
}

// run works until there is nothing to do, or a limiter says wait.
func (w *worker) run() {
	for t := w.next(); t != nil; t = w.next() {
		w.do(t)
	}
}

// next takes the next task if its namespace's limiter lets it pass. It returns
// nil when the goroutine is to be given back.
func (w *worker) next() *task {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.first
	if t == nil {
		w.stop(workerIdle)
		w.tell(waitsIdle | waitsRoom)
		return nil
	}
	if w.holds == nil && t.namespace != nil && t.namespace.limit != nil {
		if !t.namespace.limit.enter(w) {
			w.stop(workerParked)
			return nil
		}
		w.holds = t.namespace.limit
	}
	if w.first = t.next; w.first == nil {
		w.last = nil
	}
	w.current, w.since = t, time.Now()
	return t
}

// granted goes on with a worker that has waited for a limiter.
func (w *worker) granted(l *limiter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.holds = l
	w.start()
}

// ended notes that a task has ended, whichever way.
func (w *worker) ended(t *task) {
	w.mu.Lock()
	held := w.holds
	w.holds, w.current = nil, nil
	w.bytes -= t.size + taskOverhead
	if limit := w.conn.loop.limits.Mailbox; limit > 0 && w.bytes <= limit/2 {
		w.tell(waitsRoom)
	}
	w.mu.Unlock()
	if held != nil {
		held.leave()
	}
}

// tell posts to the loop if it waits for any of these. It is called with mu held.
func (w *worker) tell(what workerWaits) {
	if w.waits&what == 0 {
		return
	}
	w.waits &^= what
	c := w.conn
	c.loop.post(item{kind: itemWorked, place: c.place, generation: c.generation})
}

// do calls the program.
func (w *worker) do(t *task) {
	ctx := w.conn.loop.node.handling
	if !t.ending {
		ctx = w.conn.Context()
	}
	result := HandlerPanicked
	defer func() {
		if result == HandlerPanicked {
			w.panicked(t, recover())
		}
		w.conn.loop.workers.count(t.kind, result)
		w.ended(t)
	}()
	err := t.work.do(ctx)
	if err == nil {
		result = HandlerOK
		return
	}
	// The program's own errors do not leave this goroutine: their methods are its
	// code, too.
	text := err.Error()
	result = HandlerFailed
	w.conn.loop.logHandler(slog.LevelDebug, "handler returned an error", w.conn, t, logError, text)
	t.work.failed(wire.ErrorFor(text))
}

// panicked reports a panic of the program with its stack. The peer is told no
// more than that there was one.
func (w *worker) panicked(t *task, cause any) {
	if cause == nil {
		cause = "it called runtime.Goexit"
	}
	w.conn.loop.logHandler(slog.LevelError, "handler panicked", w.conn, t,
		logReason, fmt.Sprint(cause), logStack, string(debug.Stack()))
	t.work.failed(wire.ErrorFor(ErrInternal.Error()))
}
