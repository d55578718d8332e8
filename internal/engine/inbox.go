package engine

import "sync"

// inbox carries the engine's own work to a loop: finished blocking reads and
// writes, sockets to adopt, decisions about upgrades. It has no order against
// the owner's inbox.
type inbox struct {
	mu     sync.Mutex
	tasks  []task // guarded by mu
	closed bool   // guarded by mu
}

// task is one entry of an inbox.
type task interface {
	run(l *Loop)
	// dropped is called instead of run when the loop has ended.
	dropped(l *Loop)
}

// funcTask runs a function.
type funcTask func()

func (t funcTask) run(*Loop)     { t() }
func (t funcTask) dropped(*Loop) {}

// Post runs a function on the loop. It reports false when the loop has ended.
// Safe for concurrent use; it never blocks.
func (l *Loop) Post(f func()) bool { return l.post(funcTask(f)) }

func (l *Loop) post(t task) bool {
	in := &l.inbox
	in.mu.Lock()
	if in.closed {
		in.mu.Unlock()
		return false
	}
	in.tasks = append(in.tasks, t)
	in.mu.Unlock()
	l.Wake()
	return true
}

// maxIdleTasks is how many entries an inbox keeps room for: a burst must not
// keep its memory for good.
const maxIdleTasks = 4 << 10

func (in *inbox) pending() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.tasks) > 0
}

// runTasks runs all posted tasks. The batch that it has run becomes the next
// inbox.
func (l *Loop) runTasks() {
	spare := l.tasks[:0]
	if cap(spare) > maxIdleTasks {
		spare = nil
	}
	in := &l.inbox
	in.mu.Lock()
	l.tasks, in.tasks = in.tasks, spare
	in.mu.Unlock()
	for i, t := range l.tasks {
		l.tasks[i] = nil
		t.run(l)
	}
}

// closeInbox refuses all further tasks and drops those that are left.
func (l *Loop) closeInbox() {
	l.inbox.mu.Lock()
	l.inbox.closed = true
	rest := l.inbox.tasks
	l.inbox.tasks = nil
	l.inbox.mu.Unlock()
	for _, t := range rest {
		t.dropped(l)
	}
}
