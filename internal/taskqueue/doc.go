// Package taskqueue runs the tasks of many owners on a few shared goroutines.
//
// Every owner has a [Queue], which runs the owner's tasks one at a time, in the
// order in which they were added. A queue with tasks is an entry of its [Pool],
// whose workers take one queue after the other; an idle queue has no goroutine
// and costs only its own memory. A worker starts the next one before it runs a
// queue, if others are ready: fast tasks share a few goroutines, and a task
// that blocks delays no other owner. A [Limiter] bounds how many tasks of a
// group run at the same time. A queue that waits for it has no goroutine
// either.
//
// A task is the application's code, so it may panic or call runtime.Goexit.
// Both end the task only: the [Owner] receives the cause and the stack, and the
// queue goes on with its next task.
//
// The life of a task: [Queue.Add] appends it, a worker calls [Owner.Context]
// and then [Work.Do], and [Owner.Ended] receives the outcome. The owner is
// notified of an idle or shorter queue only if it has asked for that
// ([Queue.WatchIdle], [Queue.WatchBytes]).
//
// Locks, in the order in which they may be taken: Queue, then Limiter or Pool.
// No method of the owner is called with one of them held.
//
// The package imports the standard library only. It does not know what a task
// is for; names, counters and log lines are the owner's.
package taskqueue
