package client

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/stoa-io/stoa/internal/taskqueue"
	"github.com/stoa-io/stoa/wire"
)

// task is one call of a handler.
type task struct {
	taskqueue.Task
	queue     *handlerQueue
	handler   string // its kind, for the log
	namespace string
	event     string
	message   bool // it handles a message; skipped after Close
	ending    bool // it reports an end, so its context is not canceled by Close
	run       func(ctx context.Context) error
	// failed receives the server's answer if run has returned an error or
	// panicked; nil if the server gets none.
	failed func(err error)
}

// Do implements taskqueue.Work.
func (t *task) Do(ctx context.Context) error {
	if t.message && t.queue.discarding.Load() {
		return nil
	}
	return t.run(ctx)
}

// The keys of the package's log lines.
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

// handlerQueue runs the handlers of a Conn one at a time and in order.
type handlerQueue struct {
	ctx        context.Context // immutable
	log        *slog.Logger    // immutable
	tasks      taskqueue.Queue
	discarding atomic.Bool // queued messages are skipped

	mu    sync.Mutex
	eased chan struct{} // guarded by mu; closed when a task ends; nil: nothing waits for it
}

// init must be called before the first use.
func (q *handlerQueue) init(ctx context.Context, log *slog.Logger) {
	q.ctx, q.log = ctx, log
	q.tasks.Init(q, taskqueue.NewPool(new(sync.WaitGroup)))
}

// add queues a handler call of a message of this size, names included.
func (q *handlerQueue) add(size int, t *task) {
	t.queue, t.Work, t.Size = q, t, size
	q.tasks.Add(&t.Task)
}

// discard drops the queued messages and all later ones: an application that has
// closed the Conn does not expect any.
func (q *handlerQueue) discard() { q.discarding.Store(true) }

// overLimit returns nil if at most limit bytes are queued, else a channel that
// is closed when the next task ends.
func (q *handlerQueue) overLimit(limit int) <-chan struct{} {
	if limit < 0 {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.tasks.WatchBytes(limit, math.MaxInt) <= limit {
		return nil
	}
	if q.eased == nil {
		q.eased = make(chan struct{})
	}
	return q.eased
}

// Context implements taskqueue.Owner.
func (q *handlerQueue) Context(t *taskqueue.Task) context.Context {
	if t.Work.(*task).ending {
		return context.WithoutCancel(q.ctx)
	}
	return q.ctx
}

// Ended implements taskqueue.Owner. The server learns no more of a panic than
// that there was one.
func (q *handlerQueue) Ended(queued *taskqueue.Task, o taskqueue.Outcome) {
	t := queued.Work.(*task)
	var answer error
	switch o.Result {
	case taskqueue.Failed:
		q.report(slog.LevelDebug, "handler returned an error", t, slog.String(logError, o.Text))
		answer = wire.ErrorFor(o.Text)
	case taskqueue.Panicked:
		q.report(slog.LevelError, "handler panicked", t, slog.String(logReason, o.Text), slog.String(logStack, o.Stack))
		answer = wire.ErrInternal
	}
	if answer != nil && t.failed != nil {
		t.failed(answer)
	}
}

// Notify implements taskqueue.Owner.
func (q *handlerQueue) Notify() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.eased != nil {
		close(q.eased)
		q.eased = nil
	}
}

// reportPanic logs a panic of a callback that is not queued.
func (q *handlerQueue) reportPanic(handler string, cause any) {
	q.report(slog.LevelError, "handler panicked", &task{handler: handler},
		slog.String(logReason, fmt.Sprint(cause)), slog.String(logStack, string(debug.Stack())))
}

func (q *handlerQueue) report(level slog.Level, message string, t *task, attributes ...slog.Attr) {
	all := append([]slog.Attr{
		slog.String(logHandler, t.handler), slog.String(logNamespace, t.namespace), slog.String(logEvent, t.event),
	}, attributes...)
	q.log.LogAttrs(context.Background(), level, message, all...)
}
