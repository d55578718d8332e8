package client

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"

	"github.com/stoa-io/stoa/wire"
)

// Keys of log attributes.
const (
	logNamespace = "namespace"
	logEvent     = "event"
	logHandler   = "handler"
	logError     = "error"
	logReason    = "reason"
	logStack     = "stack"
	logAttempt   = "attempt"
	logDelay     = "delay"
)

// task is one call of the program's code.
type task struct {
	handler   string // its kind, for the log
	namespace string
	event     string
	size      int  // bytes of the message that waits with it
	message   bool // it handles a message; not run after Close
	ending    bool // it hears of an end, so its context does not end
	run       func(ctx context.Context) error
	// failed hears what the server is told if run has returned an error or panicked;
	// nil: nothing.
	failed func(err error)
}

// taskOverhead is what a task costs beside its message, in bytes.
const taskOverhead = 200

// worker runs tasks one at a time and in order, on a goroutine that exists only while
// there are some.
type worker struct {
	ctx context.Context // immutable
	log *slog.Logger    // immutable

	mu      sync.Mutex
	tasks   []*task       // guarded by mu; waiting, oldest first
	bytes   int           // guarded by mu; of what waits and runs
	running bool          // guarded by mu; there is a goroutine
	closed  bool          // guarded by mu; no more messages
	eased   chan struct{} // guarded by mu; closed when bytes go down; nil: nobody waits
}

// add appends a task and sees to it that it is run.
func (w *worker) add(t *task) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed && t.message {
		return
	}
	w.tasks = append(w.tasks, t)
	w.bytes += t.size + taskOverhead
	if !w.running {
		w.running = true
		go w.work()
	}
}

// discard drops the messages that wait, and all that come later: the program has
// closed the Conn and does not expect any.
func (w *worker) discard() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	kept := w.tasks[:0]
	for _, t := range w.tasks {
		if t.message {
			w.bytes -= t.size + taskOverhead
			continue
		}
		kept = append(kept, t)
	}
	clear(w.tasks[len(kept):])
	w.tasks = kept
	w.ease()
}

// above returns nil if at most limit bytes wait, else a channel that is closed when
// it is worth asking again.
func (w *worker) above(limit int) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if limit < 0 || w.bytes <= limit {
		return nil
	}
	if w.eased == nil {
		w.eased = make(chan struct{})
	}
	return w.eased
}

// ease wakes who waits for less. It is called with mu held.
func (w *worker) ease() {
	if w.eased != nil {
		close(w.eased)
		w.eased = nil
	}
}

// work runs tasks until there are none.
func (w *worker) work() {
	ended := false
	defer func() {
		// A handler that calls runtime.Goexit ends this goroutine, but not the others'
		// turn.
		if !ended {
			go w.work()
		}
	}()
	for t := w.next(); t != nil; t = w.next() {
		w.do(t)
	}
	ended = true
}

func (w *worker) next() *task {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.tasks) == 0 {
		w.running, w.tasks = false, nil
		return nil
	}
	t := w.tasks[0]
	w.tasks[0] = nil
	w.tasks = w.tasks[1:]
	return t
}

// do calls the program.
func (w *worker) do(t *task) {
	ctx := w.ctx
	if t.ending {
		ctx = context.WithoutCancel(ctx)
	}
	returned := false
	defer func() {
		if !returned {
			w.panicked(t, recover())
		}
		w.mu.Lock()
		w.bytes -= t.size + taskOverhead
		w.ease()
		w.mu.Unlock()
	}()
	err, text := t.run(ctx), ""
	if err != nil {
		text = err.Error() // the program's own code, too
	}
	returned = true
	if err == nil {
		return
	}
	w.report(slog.LevelDebug, "handler returned an error", t, slog.String(logError, text))
	if t.failed != nil {
		t.failed(wire.ErrorFor(text))
	}
}

// panicked reports a panic of the program with its stack. The server is told no more
// than that there was one.
func (w *worker) panicked(t *task, cause any) {
	if cause == nil {
		cause = "it called runtime.Goexit"
	}
	w.report(slog.LevelError, "handler panicked", t,
		slog.String(logReason, fmt.Sprint(cause)), slog.String(logStack, string(debug.Stack())))
	if t.failed != nil {
		t.failed(ErrInternal)
	}
}

func (w *worker) report(level slog.Level, message string, t *task, attributes ...slog.Attr) {
	all := append([]slog.Attr{
		slog.String(logHandler, t.handler), slog.String(logNamespace, t.namespace), slog.String(logEvent, t.event),
	}, attributes...)
	w.log.LogAttrs(context.Background(), level, message, all...)
}
