package taskqueue

import "sync"

// Limiter bounds how many tasks run at the same time, over all queues. Queues
// that wait for it are served in order and have no goroutine.
type Limiter struct {
	mu      sync.Mutex
	limit   int      // guarded by mu
	free    int      // guarded by mu; negative while more run than the limit allows
	waiting []*Queue // guarded by mu; oldest first
}

// NewLimiter returns a limiter for n tasks at the same time.
func NewLimiter(n int) *Limiter { return &Limiter{limit: n, free: n} }

// SetLimit changes how many tasks run at the same time. Those that run already
// are not affected.
func (l *Limiter) SetLimit(n int) {
	l.mu.Lock()
	l.free += n - l.limit
	l.limit = n
	ready := min(max(l.free, 0), len(l.waiting))
	l.free -= ready
	next := l.waiting[:ready:ready]
	l.waiting = l.waiting[ready:]
	l.mu.Unlock()
	for _, q := range next {
		q.acquired(l)
	}
}

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
	if len(l.waiting) == 0 || l.free < 0 {
		l.free++
		if len(l.waiting) == 0 {
			l.waiting = nil
		}
		l.mu.Unlock()
		return
	}
	next := l.waiting[0]
	l.waiting[0] = nil
	l.waiting = l.waiting[1:]
	l.mu.Unlock()
	next.acquired(l)
}
