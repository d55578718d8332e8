package node

import "sync"

// limiter bounds how many tasks of a namespace run at the same time. Who has to
// wait does so in line and without a goroutine.
type limiter struct {
	mu      sync.Mutex
	free    int       // guarded by mu
	waiting []*worker // guarded by mu; oldest first
}

// enter lets a worker pass, or puts it in line: then granted is called later.
func (l *limiter) enter(w *worker) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.free > 0 {
		l.free--
		return true
	}
	l.waiting = append(l.waiting, w)
	return false
}

// leave ends what enter or granted began.
func (l *limiter) leave() {
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
	next.granted(l)
}
