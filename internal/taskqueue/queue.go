package taskqueue

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Task is one piece of work. Embed it in the type that implements Work, so that
// both are one piece of memory. Its fields must not change once it is added.
type Task struct {
	Work    Work
	Size    int      // bytes that wait with the task, its overhead not included
	Limiter *Limiter // nil: no limit

	next *Task // guarded by the queue's mu
}

// Work is what a task does.
type Work interface {
	// Do runs the task.
	Do(ctx context.Context) error
}

// Overhead is what a task is taken to cost in addition to its Size, in bytes.
const Overhead = 200

// Queue runs the tasks of one owner, one at a time and in order. It is ready
// for a worker of its pool, or runs on one, only while it has tasks that may
// run. Init must be called before its first use. All methods are safe for
// concurrent use.
type Queue struct {
	owner Owner // immutable
	pool  *Pool // immutable

	mu          sync.Mutex
	first, last *Task         // guarded by mu; queued, oldest first
	bytes       int           // guarded by mu; of the queued tasks and the running one
	low         int           // guarded by mu; see WatchBytes
	state       atomic.Uint32 // a queueState; changed with mu held
	watched     watches       // guarded by mu
	held        *Limiter      // guarded by mu; acquired for the running task, or the first one
	current     *Task         // guarded by mu; nil: none runs
	since       time.Time     // guarded by mu; when current started
}

// queueState says what a queue is doing.
type queueState = uint32

const (
	queueIdle    queueState = iota
	queueRunning            // it has a worker or is ready for one
	queueLimited            // it waits for a limiter
)

// watches are the changes of which the owner wants to be notified.
type watches uint8

const (
	watchIdle watches = 1 << iota
	watchBytes
)

// Init sets the owner and the pool of a queue.
func (q *Queue) Init(owner Owner, pool *Pool) { q.owner, q.pool = owner, pool }

// Add appends a task, which is run when all earlier ones have ended. It returns
// the bytes of the queued tasks and the running one.
func (q *Queue) Add(t *Task) (bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.last == nil {
		q.first = t
	} else {
		q.last.next = t
	}
	q.last = t
	q.bytes += t.Size + Overhead
	q.pool.bytes.Add(int64(t.Size + Overhead))
	if q.state.Load() == queueIdle {
		q.start()
	}
	return q.bytes
}

// Busy reports whether a task is queued or running.
func (q *Queue) Busy() bool { return q.state.Load() != queueIdle }

// WatchIdle is Busy. If the queue is busy, the owner is notified when it is
// idle.
func (q *Queue) WatchIdle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.Busy() {
		return false
	}
	q.watched |= watchIdle
	return true
}

// WatchBytes returns the bytes of the queued tasks and the running one. If they
// are more than limit, the owner is notified when a task ends and at most low
// bytes are left.
func (q *Queue) WatchBytes(limit, low int) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.bytes > limit {
		q.watched |= watchBytes
		q.low = low
	}
	return q.bytes
}

// start makes the queue ready for a worker. The caller holds mu.
func (q *Queue) start() {
	q.state.Store(queueRunning)
	q.pool.push(q)
}

// stop takes the queue out of the pool; its worker is about to leave it. The
// caller holds mu.
func (q *Queue) stop(state queueState) {
	q.state.Store(state)
	q.pool.remove(q)
}

// run runs tasks until none is left or a limiter is exhausted.
func (q *Queue) run() {
	for t := q.next(); t != nil; t = q.next() {
		q.do(t)
	}
}

// next takes the next task if its limiter permits. It returns nil when the
// worker is to leave the queue.
func (q *Queue) next() *Task {
	q.mu.Lock()
	t := q.first
	if t == nil {
		q.stop(queueIdle)
		notify := q.unwatch(watchIdle | watchBytes)
		q.mu.Unlock()
		if notify {
			q.owner.Notify()
		}
		return nil
	}
	defer q.mu.Unlock()
	if q.held == nil && t.Limiter != nil {
		if !t.Limiter.acquire(q) {
			q.stop(queueLimited)
			return nil
		}
		q.held = t.Limiter
	}
	if q.first = t.next; q.first == nil {
		q.last = nil
	}
	q.current, q.since = t, time.Now()
	return t
}

// acquired resumes a queue that has waited for a limiter.
func (q *Queue) acquired(l *Limiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held = l
	q.start()
}

// do runs one task.
func (q *Queue) do(t *Task) {
	ctx := q.owner.Context(t)
	o := Outcome{Result: Panicked}
	defer func() {
		if o.Result == Panicked {
			o.Text = reason(recover())
			o.Stack = string(debug.Stack())
		}
		q.owner.Ended(t, o)
		q.finish(t)
	}()
	err := t.Work.Do(ctx)
	if err == nil {
		o.Result = OK
		return
	}
	o.Text = err.Error() // may panic
	o.Result = Failed
}

// reason describes the value of a panic; nil stands for runtime.Goexit.
func reason(value any) string {
	if value == nil {
		return "it called runtime.Goexit"
	}
	return fmt.Sprint(value)
}

// finish removes a task that has ended.
func (q *Queue) finish(t *Task) {
	q.mu.Lock()
	held := q.held
	q.held, q.current = nil, nil
	q.bytes -= t.Size + Overhead
	q.pool.bytes.Add(-int64(t.Size + Overhead))
	notify := q.bytes <= q.low && q.unwatch(watchBytes)
	q.mu.Unlock()
	if held != nil {
		held.release()
	}
	if notify {
		q.owner.Notify()
	}
}

// unwatch reports whether the owner watches any of these changes and ends that.
// The caller holds mu and notifies the owner afterwards.
func (q *Queue) unwatch(changes watches) bool {
	watched := q.watched&changes != 0
	q.watched &^= changes
	return watched
}
