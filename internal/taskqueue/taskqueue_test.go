package taskqueue_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stoa-io/stoa/internal/taskqueue"
)

// owner records the outcomes of its tasks.
type owner struct {
	mu       sync.Mutex
	outcomes []taskqueue.Outcome
	notified int
}

func (o *owner) Context(*taskqueue.Task) context.Context { return context.Background() }

func (o *owner) Ended(_ *taskqueue.Task, out taskqueue.Outcome) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.outcomes = append(o.outcomes, out)
}

func (o *owner) Notify() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.notified++
}

func (o *owner) seen() (outcomes []taskqueue.Outcome, notified int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.outcomes), o.notified
}

type work func() error

func (w work) Do(context.Context) error { return w() }

func task(size int, do func() error) *taskqueue.Task {
	return &taskqueue.Task{Work: work(do), Size: size}
}

func newQueue(p *taskqueue.Pool) (*taskqueue.Queue, *owner) {
	q, o := new(taskqueue.Queue), new(owner)
	q.Init(o, p)
	return q, o
}

func TestTasksRunInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running sync.WaitGroup
		pool := taskqueue.NewPool(&running)
		orders := make([][]int, 20)
		for i := range orders {
			q, _ := newQueue(pool)
			for k := range 50 {
				q.Add(task(0, func() error { orders[i] = append(orders[i], k); return nil }))
			}
		}
		running.Wait()
		want := make([]int, 50)
		for k := range want {
			want[k] = k
		}
		for i, order := range orders {
			if !slices.Equal(order, want) {
				t.Errorf("queue %d ran its tasks in the order %v", i, order)
			}
		}
	})
}

func TestOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running sync.WaitGroup
		q, o := newQueue(taskqueue.NewPool(&running))
		q.Add(task(0, func() error { return nil }))
		q.Add(task(0, func() error { return errors.New("no") }))
		q.Add(task(0, func() error { panic("broken") }))
		q.Add(task(0, func() error { runtime.Goexit(); return nil }))
		q.Add(task(0, func() error { return badError{} }))
		q.Add(task(0, func() error { return nil }))
		running.Wait()
		outcomes, _ := o.seen()
		want := []string{"ok ", "failed no", "panicked broken", "panicked it called runtime.Goexit", "panicked bad error", "ok "}
		if len(outcomes) != len(want) {
			t.Fatalf("%d outcomes, want %d: %v", len(outcomes), len(want), outcomes)
		}
		for i, got := range outcomes {
			if text := fmt.Sprintf("%v %s", got.Result, got.Text); text != want[i] {
				t.Errorf("task %d: %q, want %q", i, text, want[i])
			}
			if panicked := got.Result == taskqueue.Panicked; panicked != strings.Contains(got.Stack, "taskqueue_test.go") {
				t.Errorf("task %d: %v with stack %q", i, got.Result, got.Stack)
			}
		}
	})
}

// badError is an error whose text cannot be read.
type badError struct{}

func (badError) Error() string { panic("bad error") }

func TestBlockedTaskDelaysNoOtherQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running sync.WaitGroup
		pool := taskqueue.NewPool(&running)
		release := make(chan struct{})
		blocked, _ := newQueue(pool)
		blocked.Add(task(0, func() error { <-release; return nil }))
		others := make([]*owner, 10)
		for i := range others {
			var q *taskqueue.Queue
			q, others[i] = newQueue(pool)
			q.Add(task(0, func() error { return nil }))
		}
		synctest.Wait()
		for i, o := range others {
			if outcomes, _ := o.seen(); len(outcomes) != 1 {
				t.Errorf("queue %d ran %d tasks, want 1", i, len(outcomes))
			}
		}
		if active := pool.Active(); len(active) != 1 || active[0].Current == nil {
			t.Errorf("active: %+v, want the blocked queue", active)
		}
		close(release)
		running.Wait()
		if active := pool.Active(); len(active) != 0 {
			t.Errorf("active after the end: %+v", active)
		}
	})
}

func TestLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const queues, limit = 10, 3
		var running sync.WaitGroup
		pool, limiter := taskqueue.NewPool(&running), taskqueue.NewLimiter(limit)
		proceed, started := make(chan struct{}), make(chan int, queues)
		for i := range queues {
			q, _ := newQueue(pool)
			limited := task(0, func() error {
				started <- i
				<-proceed
				if i%2 == 0 {
					panic("the slot must be released all the same")
				}
				return nil
			})
			limited.Limiter = limiter
			q.Add(limited)
			synctest.Wait()
		}
		if got, want := len(limiter.Waiting()), queues-limit; got != want {
			t.Errorf("%d queues wait, want %d", got, want)
		}
		if got := len(pool.Active()); got != limit {
			t.Errorf("%d queues are active, want %d", got, limit)
		}
		for range queues {
			proceed <- struct{}{}
			synctest.Wait()
		}
		running.Wait()
		close(started)
		next := 0
		for i := range started {
			if i != next {
				t.Errorf("queue %d ran, want %d: waiting queues are served in order", i, next)
			}
			next++
		}
	})
}

// A limiter follows its limit: more tasks start at once, and a lower limit
// counts as tasks end.
func TestSetLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running sync.WaitGroup
		pool, limiter := taskqueue.NewPool(&running), taskqueue.NewLimiter(1)
		proceed := make(chan struct{})
		for range 10 {
			q, _ := newQueue(pool)
			limited := task(0, func() error { <-proceed; return nil })
			limited.Limiter = limiter
			q.Add(limited)
		}
		for _, step := range []struct{ limit, end, waiting int }{
			{1, 0, 9}, {4, 0, 6}, {2, 0, 6}, {2, 1, 6}, {2, 1, 6}, {2, 1, 5}, {1, 1, 5}, {1, 1, 4}, {100, 0, 0}, {1, 5, 0},
		} {
			limiter.SetLimit(step.limit)
			for range step.end {
				proceed <- struct{}{}
			}
			synctest.Wait()
			if got := len(limiter.Waiting()); got != step.waiting {
				t.Errorf("%+v: %d wait", step, got)
			}
		}
		running.Wait()
	})
}

func TestNotifications(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, low = 1000, 2 * (1000 + taskqueue.Overhead)
		var running sync.WaitGroup
		q, o := newQueue(taskqueue.NewPool(&running))
		if q.WatchIdle() || q.Busy() || q.WatchBytes(0, 0) != 0 {
			t.Error("an unused queue is busy")
		}
		proceed := make(chan struct{})
		for i := range 4 {
			if got, want := q.Add(task(size, func() error { <-proceed; return nil })), (i+1)*(size+taskqueue.Overhead); got != want {
				t.Errorf("Add returned %d bytes, want %d", got, want)
			}
		}
		if !q.WatchIdle() {
			t.Error("WatchIdle is false although tasks are queued")
		}
		q.WatchBytes(math.MaxInt, low) // not more than the limit, so not watched
		q.WatchBytes(size, low)
		for step, want := range []int{0, 1, 1, 2} {
			proceed <- struct{}{}
			synctest.Wait()
			if _, got := o.seen(); got != want {
				t.Errorf("%d notifications after %d tasks, want %d", got, step+1, want)
			}
		}
		if q.Busy() {
			t.Error("the queue is busy although all tasks have ended")
		}
	})
}
