package taskqueue

import "time"

// Status is a snapshot of one queue.
type Status struct {
	Owner Owner
	// Bytes of the queued tasks and the running one, overhead included.
	Bytes int
	// Current is the running task, nil if none runs.
	Current *Task
	// Since is when Current started.
	Since time.Time
}

// Status returns a snapshot of the queue.
func (q *Queue) Status() Status {
	q.mu.Lock()
	defer q.mu.Unlock()
	return Status{Owner: q.owner, Bytes: q.bytes, Current: q.current, Since: q.since}
}

// Active returns the queues that are ready or running. Queues that become so,
// or become idle, during the call may be missing or included.
func (p *Pool) Active() []Status {
	p.mu.Lock()
	active := make([]*Queue, 0, len(p.active))
	for q := range p.active {
		active = append(active, q)
	}
	p.mu.Unlock() // a queue's lock comes before this one
	return statuses(active)
}

// Waiting returns the queues that wait for the limiter.
func (l *Limiter) Waiting() []Status {
	l.mu.Lock()
	waiting := append([]*Queue(nil), l.waiting...)
	l.mu.Unlock() // a queue's lock comes before this one
	return statuses(waiting)
}

func statuses(queues []*Queue) []Status {
	all := make([]Status, len(queues))
	for i, q := range queues {
		all[i] = q.Status()
	}
	return all
}
