package taskqueue

import "context"

// Owner is the side of a queue that its tasks belong to. Its methods are called
// from the goroutine that runs the queue, without any lock of this package
// held.
type Owner interface {
	// Context returns the context in which a task runs.
	Context(t *Task) context.Context
	// Ended receives the outcome of each task, before the next one runs.
	Ended(t *Task, o Outcome)
	// Notify is called once for each successful WatchIdle or WatchBytes. The
	// queue may have changed again by then.
	Notify()
}

// Result is how a task ended.
type Result uint8

// The results of a task.
const (
	OK       Result = iota + 1 // Do returned nil
	Failed                     // Do returned an error
	Panicked                   // Do panicked or called runtime.Goexit
)

// String returns the result as one lower-case word.
func (r Result) String() string {
	switch r {
	case OK:
		return "ok"
	case Failed:
		return "failed"
	case Panicked:
		return "panicked"
	}
	return "invalid"
}

// Outcome describes the end of a task.
type Outcome struct {
	Result Result
	// Text is the error's text or the panic's value; empty for OK. The error
	// itself is not passed on: its methods are the task's code, too.
	Text string
	// Stack is where the task panicked; empty for other results.
	Stack string
}
