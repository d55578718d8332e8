package cluster

import (
	"sync"
	"time"
)

// interestStripe holds a part of the channels. Its lock is taken under a
// broker's locks (by Loops, in a Deliver), so the broker is never called with
// it held. A worker's lock is taken inside it.
type interestStripe struct {
	mu         sync.Mutex // guards the rest and the entries' fields
	entries    shrinkingMap[*interestEntry]
	subscribed int // entries in subscriptionConfirmed
	waiting    int // entries in subscriptionWaiting

	_ [64]byte // keeps two stripes' locks out of one cache line
}

// subscriptionState is the state of a channel at the broker.
type subscriptionState uint8

const (
	// subscriptionWaiting: requested, not confirmed.
	subscriptionWaiting subscriptionState = iota + 1
	// subscriptionConfirmed: deliveries arrive.
	subscriptionConfirmed
	// subscriptionEnding: a call to unsubscribe is in flight.
	subscriptionEnding
	// subscriptionDoubtful: a call failed, so the broker may be subscribed or
	// not.
	subscriptionDoubtful
)

func (s subscriptionState) String() string {
	switch s {
	case subscriptionWaiting:
		return "waiting"
	case subscriptionConfirmed:
		return "confirmed"
	case subscriptionEnding:
		return "ending"
	case subscriptionDoubtful:
		return "doubtful"
	}
	return "unknown"
}

// interestEntry is one channel. It exists from the first Acquire until the
// broker has unsubscribed.
type interestEntry struct {
	channel   string
	loops     uint64 // bit n: loop n wants the channel
	waiters   *interestWaiter
	idleSince time.Duration // when loops became 0
	state     subscriptionState
	queued    bool // in the worker's pending queue or in its current call
	idle      bool // in the worker's idle queue
}

// interestWaiter is one Acquire or Confirm that has not been answered.
type interestWaiter struct {
	since time.Duration // when it began to wait
	bit   uint64        // of the loop that loses the channel after an error; 0: none
	done  func(error)
	next  *interestWaiter
}

// setState keeps the counts correct. It is called with mu held.
func (s *interestStripe) setState(e *interestEntry, state subscriptionState) {
	s.count(e.state, -1)
	e.state = state
	s.count(state, +1)
}

func (s *interestStripe) count(state subscriptionState, change int) {
	switch state {
	case subscriptionWaiting:
		s.waiting += change
	case subscriptionConfirmed:
		s.subscribed += change
	}
}

// takeLate removes the waiters of e that began to wait at oldest or before.
// Their loops lose the channel. It is called with mu held; the caller then
// calls finish on the result without mu.
func (s *interestStripe) takeLate(e *interestEntry, oldest time.Duration) *interestWaiter {
	var late *interestWaiter
	for link := &e.waiters; *link != nil; {
		w := *link
		if w.since > oldest {
			link = &w.next
			continue
		}
		*link = w.next
		e.loops &^= w.bit
		w.next, late = late, w
	}
	return late
}

// takeWaiters removes all waiters of e. If err is not nil, their loops lose the
// channel. It is called with mu held; the caller then calls finish on the
// result without mu.
func (s *interestStripe) takeWaiters(e *interestEntry, err error) *interestWaiter {
	waiters := e.waiters
	e.waiters = nil
	if err == nil {
		return waiters
	}
	for w := waiters; w != nil; w = w.next {
		e.loops &^= w.bit
	}
	return waiters
}

// finish calls a list of waiters.
func (w *interestWaiter) finish(err error) {
	for ; w != nil; w = w.next {
		w.done(err)
	}
}
