package taskqueue

import (
	"sync"
	"sync/atomic"
)

// Pool runs queues on workers: goroutines that take one ready queue after the
// other. A worker starts the next one before it runs a queue, if others are
// ready and none is starting. So fast tasks share a few goroutines, and a
// blocked one delays no other queue.
type Pool struct {
	running *sync.WaitGroup // counts the workers; the caller's

	bytes atomic.Int64 // of the tasks of all queues, overhead included

	mu       sync.Mutex
	active   map[*Queue]struct{} // guarded by mu; ready or running
	ready    []*Queue            // guarded by mu; those before next are taken
	next     int                 // guarded by mu
	starting bool                // guarded by mu; a worker was started and has not begun
}

// maxIdleReady is how many entries the ready queues keep room for: a burst must
// not keep its memory for good.
const maxIdleReady = 4 << 10

// NewPool returns a pool. Its workers are counted in running while they exist.
func NewPool(running *sync.WaitGroup) *Pool {
	return &Pool{running: running, active: make(map[*Queue]struct{})}
}

// Bytes is the memory of the queued and running tasks of all queues, overhead
// included.
func (p *Pool) Bytes() int { return int(p.bytes.Load()) }

// push makes a queue ready.
func (p *Pool) push(q *Queue) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active[q] = struct{}{}
	p.ready = append(p.ready, q)
	p.startWorker()
}

// remove takes out a queue that its worker is about to leave.
func (p *Pool) remove(q *Queue) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.active, q)
}

// startWorker starts a worker unless one is starting. The caller holds mu.
func (p *Pool) startWorker() {
	if p.starting {
		return
	}
	p.starting = true
	p.running.Add(1)
	go p.work()
}

// work is a worker's goroutine. It ends when no queue is ready.
func (p *Pool) work() {
	defer p.running.Done()
	p.mu.Lock()
	p.starting = false
	for q := p.pop(); q != nil; q = p.pop() {
		p.mu.Unlock()
		p.runQueue(q)
		p.mu.Lock()
	}
	p.mu.Unlock()
}

// pop takes the queue that has been ready for longest. The caller holds mu.
func (p *Pool) pop() *Queue {
	if p.next == len(p.ready) {
		return nil
	}
	q := p.ready[p.next]
	p.ready[p.next] = nil
	p.next++
	if p.next < len(p.ready) {
		p.startWorker()
	} else {
		p.ready, p.next = p.ready[:0], 0
		if cap(p.ready) > maxIdleReady {
			p.ready = nil
		}
	}
	return q
}

// runQueue runs a queue. A task that calls runtime.Goexit ends the worker;
// another worker then continues with the queue.
func (p *Pool) runQueue(q *Queue) {
	returned := false
	defer func() {
		if !returned {
			p.push(q)
		}
	}()
	q.run()
	returned = true
}
