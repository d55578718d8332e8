package presence

import (
	"context"
	"sync"
	"time"
)

// worker runs a step in turns for as long as there is work, on a goroutine that
// exists only then.
type worker struct {
	step   func() (next time.Duration) // until the next turn; 0: there is no work
	wakes  chan struct{}               // capacity 1: woken is true
	ctx    context.Context
	cancel context.CancelFunc
	group  sync.WaitGroup

	mu      sync.Mutex
	running bool     // guarded by mu
	woken   bool     // guarded by mu; since the turn began
	closed  bool     // guarded by mu
	tasks   []func() // guarded by mu; for the next turn
}

func (w *worker) init(step func() time.Duration) {
	w.step, w.wakes = step, make(chan struct{}, 1)
	w.ctx, w.cancel = context.WithCancel(context.Background())
}

// wake starts the turns, unless they run.
func (w *worker) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wakeLocked()
}

func (w *worker) wakeLocked() {
	w.woken = true
	select {
	case w.wakes <- struct{}{}:
	default:
	}
	if !w.running && !w.closed {
		w.running = true
		w.group.Go(w.run)
	}
}

// later runs a task in the next turn, unless the worker is closed.
func (w *worker) later(task func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.tasks = append(w.tasks, task)
	w.wakeLocked()
}

func (w *worker) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		w.mu.Lock()
		if w.closed {
			w.running = false
			w.mu.Unlock()
			return
		}
		tasks := w.tasks
		w.tasks, w.woken = nil, false
		select {
		case <-w.wakes:
		default:
		}
		w.mu.Unlock()
		for _, task := range tasks {
			task()
		}
		next := w.step()
		w.mu.Lock()
		if next == 0 && !w.woken {
			w.running = false
			w.mu.Unlock()
			return
		}
		w.mu.Unlock()
		w.wait(timer, next)
	}
}

// wait waits for the next turn. Once woken, it gathers for a moment.
func (w *worker) wait(timer *time.Timer, next time.Duration) {
	timer.Reset(max(pause, next))
	select {
	case <-w.ctx.Done():
		return
	case <-timer.C:
		return
	case <-w.wakes:
	}
	timer.Reset(pause)
	select {
	case <-w.ctx.Done():
	case <-timer.C:
	}
}

func (w *worker) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.cancel()
	w.group.Wait()
}
