package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// unsubscribeRetry is the pause after a failed call to unsubscribe: no caller
// waits for it, and an unreachable broker should not be called all the time.
const unsubscribeRetry = time.Second

// interestWorker makes the calls to one partition of the broker. It has two
// queues: channels to subscribe, and channels that had no loop when they were
// added. The second is ordered by time, because the delay is the same for all
// channels; so one timer is enough.
type interestWorker struct {
	interest *Interest
	wake     chan struct{} // capacity 1; an empty queue has got an entry

	mu      sync.Mutex // guards the queues; taken inside a stripe's lock
	closed  bool
	pending []*interestEntry
	idle    []idleEntry // those before head are done
	head    int

	// Owned by run.
	names       []string      // reused for the arguments of calls
	pausedUntil time.Duration // no call to unsubscribe before, after a failure
	failing     bool          // the last call to unsubscribe failed, and that is logged
}

// idleEntry is an entry to check when it is due.
type idleEntry struct {
	entry *interestEntry
	due   time.Duration // since Interest.epoch
}

func newInterestWorker(i *Interest) *interestWorker {
	return &interestWorker{interest: i, wake: make(chan struct{}, 1)}
}

// run is the worker's goroutine. Subscriptions go first, because callers wait
// for them, but after each of their batches one batch of expired channels has
// its turn.
func (w *interestWorker) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		subscribed := w.subscribe(ctx)
		unsubscribed := w.unsubscribe(ctx)
		if subscribed || unsubscribed {
			continue
		}
		var expiry <-chan time.Time
		if due, found := w.nextDue(); found {
			timer.Reset(due - w.interest.now())
			expiry = timer.C
		}
		select {
		case <-ctx.Done():
		case <-w.wake:
		case <-expiry:
		}
	}
	w.drain()
}

// subscribe makes one call for the pending channels, and returns false if there
// are none.
func (w *interestWorker) subscribe(ctx context.Context) bool {
	batch := w.takePending(w.interest.config.Batch)
	if len(batch) == 0 {
		return false
	}
	call, cancel := context.WithTimeout(ctx, w.patience(batch))
	defer cancel()
	err := w.interest.broker.Subscribe(call, w.channels(batch)...)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		err = ErrClosed
	case call.Err() != nil:
		w.settleLate(batch, fmt.Errorf("cluster: subscribe: %w", err))
		return true
	default:
		err = fmt.Errorf("cluster: subscribe: %w", err)
	}
	w.settle(batch, err)
	return true
}

// patience returns how long a call for the batch may take: until the first of
// its waiters gives up. Its lower bound keeps an unreachable broker from being
// called for each waiter.
func (w *interestWorker) patience(batch []*interestEntry) time.Duration {
	limit, now := w.interest.config.SubscribeTimeout, w.interest.now()
	first := now
	for _, e := range batch {
		stripe := w.interest.stripe(e.channel)
		stripe.mu.Lock()
		for waiter := e.waiters; waiter != nil; waiter = waiter.next {
			first = min(first, waiter.since)
		}
		stripe.mu.Unlock()
	}
	return max(first+limit-now, limit/20)
}

// settleLate records that a call took too long. Waiters that have time left
// wait for the next call.
func (w *interestWorker) settleLate(batch []*interestEntry, err error) {
	oldest := w.interest.now() - w.interest.config.SubscribeTimeout
	var rest []*interestEntry
	for _, e := range batch {
		stripe := w.interest.stripe(e.channel)
		stripe.mu.Lock()
		late := stripe.takeLate(e, oldest)
		again := e.waiters != nil
		if again {
			e.queued = false
			again = w.interest.enqueue(stripe, e)
		}
		stripe.mu.Unlock()
		late.finish(err)
		if !again {
			rest = append(rest, e)
		}
	}
	w.settle(rest, err)
}

// settle records the outcome of a subscription and calls the waiters.
func (w *interestWorker) settle(batch []*interestEntry, err error) {
	for _, e := range batch {
		stripe := w.interest.stripe(e.channel)
		stripe.mu.Lock()
		e.queued = false
		waiters := stripe.takeWaiters(e, err)
		switch {
		case err == nil:
			stripe.setState(e, subscriptionConfirmed)
		case e.state == subscriptionWaiting:
			stripe.setState(e, subscriptionDoubtful)
		}
		if e.loops == 0 {
			w.interest.unsubscribeLater(e)
		}
		stripe.mu.Unlock()
		waiters.finish(err)
	}
}

// unsubscribe makes one call for the channels that have been idle for long
// enough, and returns false if there are none.
func (w *interestWorker) unsubscribe(ctx context.Context) bool {
	batch := w.takeExpired(w.interest.config.Batch)
	if len(batch) == 0 {
		return false
	}
	call, cancel := context.WithTimeout(ctx, w.interest.config.SubscribeTimeout)
	defer cancel()
	err := w.interest.broker.Unsubscribe(call, w.channels(batch)...)
	if ctx.Err() == nil {
		w.report(ctx, len(batch), err)
	}
	for _, e := range batch {
		stripe := w.interest.stripe(e.channel)
		stripe.mu.Lock()
		switch {
		case e.loops != 0:
			// Acquired again during the call. The worker drains the queue
			// before it ends, so the queue still accepts the entry.
			w.interest.enqueue(stripe, e)
		case err == nil:
			stripe.setState(e, 0)
			stripe.entries.remove(e.channel)
		default:
			stripe.setState(e, subscriptionDoubtful)
			w.interest.unsubscribeLater(e)
		}
		stripe.mu.Unlock()
	}
	return true
}

// report logs the first of several failures, and their end. It leaves out
// channel names, which peers choose.
func (w *interestWorker) report(ctx context.Context, channels int, err error) {
	log := w.interest.config.Logger
	if err != nil {
		w.pausedUntil = w.interest.now() + unsubscribeRetry
		if !w.failing {
			log.LogAttrs(ctx, slog.LevelWarn, "unsubscribe failed; retrying",
				slog.Int("channels", channels), slog.Any("error", err))
		}
	} else if w.failing {
		log.LogAttrs(ctx, slog.LevelInfo, "unsubscribe succeeded again")
	}
	w.failing = err != nil
}

// channels returns the names of a batch, valid until the next call.
func (w *interestWorker) channels(batch []*interestEntry) []string {
	clear(w.names)
	w.names = w.names[:0]
	for _, e := range batch {
		w.names = append(w.names, e.channel)
	}
	return w.names
}

// pushPending returns false once the worker has ended.
func (w *interestWorker) pushPending(e *interestEntry) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	w.pending = append(w.pending, e)
	w.signal(len(w.pending) == 1)
	return true
}

func (w *interestWorker) takePending(limit int) []*interestEntry {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.pending) <= limit {
		batch := w.pending
		w.pending = nil
		return batch
	}
	batch := w.pending[:limit:limit]
	w.pending = w.pending[limit:]
	return batch
}

func (w *interestWorker) pushIdle(e *interestEntry, due time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.idle = append(w.idle, idleEntry{entry: e, due: due})
	w.signal(len(w.idle)-w.head == 1)
}

// takeExpired returns entries that have been without loops for the delay, and
// marks them as ending.
func (w *interestWorker) takeExpired(limit int) []*interestEntry {
	now := w.interest.now()
	if now < w.pausedUntil {
		return nil
	}
	delay := w.interest.config.UnsubscribeDelay
	var batch []*interestEntry
	for len(batch) < limit {
		e := w.popIdle(now)
		if e == nil {
			break
		}
		stripe := w.interest.stripe(e.channel)
		stripe.mu.Lock()
		e.idle = false
		settled := !e.queued && (e.state == subscriptionConfirmed || e.state == subscriptionDoubtful)
		switch {
		case e.loops != 0 || !settled:
			// Acquired again; the next last Release puts it back.
		case e.idleSince+delay > now:
			// Acquired and released again while it was in the queue. It goes to
			// the end of the queue, which costs it up to one more delay.
			e.idle = true
			w.pushIdle(e, now+delay)
		default:
			stripe.setState(e, subscriptionEnding)
			batch = append(batch, e)
		}
		stripe.mu.Unlock()
	}
	return batch
}

// popIdle returns the first entry that is due, or nil.
func (w *interestWorker) popIdle(now time.Duration) *interestEntry {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.head == len(w.idle) || w.idle[w.head].due > now {
		return nil
	}
	e := w.idle[w.head].entry
	w.idle[w.head] = idleEntry{}
	w.head++
	switch {
	case w.head == len(w.idle):
		w.idle, w.head = nil, 0
	case w.head > len(w.idle)/2:
		w.idle = append(make([]idleEntry, 0, len(w.idle)-w.head), w.idle[w.head:]...)
		w.head = 0
	}
	return e
}

// nextDue returns when the next entry is due.
func (w *interestWorker) nextDue() (due time.Duration, found bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.head == len(w.idle) {
		return 0, false
	}
	return max(w.idle[w.head].due, w.pausedUntil), true
}

// signal wakes run if needed. It is called with mu held.
func (w *interestWorker) signal(needed bool) {
	if !needed {
		return
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// drain calls the remaining waiters when the worker ends.
func (w *interestWorker) drain() {
	w.mu.Lock()
	w.closed = true
	batch := w.pending
	w.pending, w.idle, w.head = nil, nil, 0
	w.mu.Unlock()
	w.settle(batch, ErrClosed)
}
