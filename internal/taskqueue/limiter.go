package taskqueue

import "sync"

// Limiter bounds how many tasks run at the same time, over all queues. Queues
// that wait for it are served in order and have no goroutine.
type Limiter struct {
	mu      sync.Mutex
	free    int      // guarded by mu
	waiting []*Queue // guarded by mu; oldest first
}

// NewLimiter returns a limiter for n tasks at the same time.
func NewLimiter(n int) *Limiter { return &Limiter{free: n} }

// acquire reports whether a task of the queue may run. If not, the queue's
// acquired method is called when it may.
func (l *Limiter) acquire(q *Queue) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.free > 0 {
		l.free--
		return true
	}
	l.waiting = append(l.waiting, q)
	return false
}

// release undoes one acquire.
func (l *Limiter) release() {
	l.mu.Lock()
	if len(l.waiting) == 0 {
		l.free++
		l.waiting = nil
		l.mu.Unlock()
		return
	}
	next := l.waiting[0]
	l.waiting[0] = nil
	l.waiting = l.waiting[1:]
	l.mu.Unlock()
	next.acquired(l)
}
