package cluster

import (
	"context"
	"hash/maphash"
	"log/slog"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxInterestLoops = 64
	interestStripes  = 64

	defaultUnsubscribeDelay = time.Second
	defaultBatch            = 512
	defaultSubscribeTimeout = 5 * time.Second
)

// InterestConfig is the configuration of an Interest. The zero value of every
// field is its default.
type InterestConfig struct {
	// UnsubscribeDelay is how long a subscription outlives its last loop, so
	// that a room that empties and fills again costs the broker nothing. The
	// subscription ends between one and two delays after the last Release. The
	// default is 1 s; a negative value means no delay.
	UnsubscribeDelay time.Duration
	// Batch is the largest number of channels in one call to the broker. It
	// bounds the duration of a call and the effect of a failure. The default is
	// 512.
	Batch int
	// SubscribeTimeout is how long an Acquire may wait, also for a call that is
	// in flight before its own; it is exceeded by at most a twentieth. It
	// bounds a call to the broker, too. The default is 5 s.
	SubscribeTimeout time.Duration
	// Logger receives failed calls to unsubscribe, which no caller waits for.
	// Nil discards them.
	Logger *slog.Logger
}

func (c InterestConfig) withDefaults() InterestConfig {
	switch {
	case c.UnsubscribeDelay == 0:
		c.UnsubscribeDelay = defaultUnsubscribeDelay
	case c.UnsubscribeDelay < 0:
		c.UnsubscribeDelay = 0
	}
	if c.Batch <= 0 {
		c.Batch = defaultBatch
	}
	if c.SubscribeTimeout <= 0 {
		c.SubscribeTimeout = defaultSubscribeTimeout
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Interest keeps a node subscribed to exactly the channels that its loops need.
// It is safe for concurrent use. It is the only caller of its broker's
// Subscribe and Unsubscribe.
//
// One goroutine per partition makes all calls to the broker, one at a time. So
// two calls for a channel never overlap, and an answer always belongs to the
// newest call: no late confirmation can undo a later request. There is no
// goroutine and no timer per channel.
type Interest struct {
	broker         Broker
	syncSubscriber syncSubscriber // nil if the broker has to wait for a server
	partitioned    Partitioned    // nil if the broker is one server
	interruptible  Interruptible  // nil if subscriptions last until they are ended
	config         InterestConfig
	epoch          time.Time // what interestEntry.idleSince counts from
	seed           maphash.Seed
	stripes        [interestStripes]interestStripe
	workers        []*interestWorker

	closed atomic.Bool
	cancel context.CancelFunc
	group  sync.WaitGroup
}

// NewInterest returns an Interest that uses b, which may be started later. It
// starts one goroutine (one per partition of a Partitioned broker), until
// Close.
func NewInterest(b Broker, config InterestConfig) *Interest {
	i := &Interest{
		broker: b,
		config: config.withDefaults(),
		epoch:  time.Now(),
		seed:   maphash.MakeSeed(),
	}
	i.syncSubscriber, _ = b.(syncSubscriber)
	i.partitioned, _ = b.(Partitioned)
	i.interruptible, _ = b.(Interruptible)
	count := 1
	if i.partitioned != nil {
		count = i.partitioned.Partitions()
	}
	ctx, cancel := context.WithCancel(context.Background())
	i.cancel = cancel
	for range count {
		worker := newInterestWorker(i)
		i.workers = append(i.workers, worker)
		i.group.Go(func() {
			pprof.Do(ctx, pprof.Labels("stoa", "interest"), worker.run)
		})
	}
	return i
}

// Acquire subscribes a loop (0 to 63) to the channel; the loop must not have
// acquired it already. It returns true if the subscription is confirmed and not
// interrupted, which is the usual case and does not allocate. Otherwise it
// returns false, and calls done exactly once, on another goroutine, with nil or
// an error. After an error the loop has not acquired the channel. The error is
// ErrClosed or wraps that of the broker. done must not block; it may call
// Interest.
//
// An Acquire cannot be canceled: a caller that no longer needs the channel
// waits for done, and releases the channel if done reported nil. Messages may
// arrive before the subscription is confirmed.
func (i *Interest) Acquire(channel string, loop int, done func(error)) bool {
	bit := loopBit(loop)
	stripe := i.stripe(channel)
	stripe.mu.Lock()
	e, found := stripe.entries.get(channel)
	if found && e.state == subscriptionConfirmed && !i.closed.Load() && !i.Interrupted(channel) {
		e.loops |= bit
		stripe.mu.Unlock()
		return true
	}
	if !found {
		e = &interestEntry{channel: channel, idleSince: i.now()}
		stripe.setState(e, subscriptionWaiting)
		stripe.entries.put(channel, e)
	}
	e.loops |= bit
	if i.acquireNow(stripe, e) {
		stripe.mu.Unlock()
		return true
	}
	i.wait(stripe, e, &interestWaiter{bit: bit, done: done})
	return false
}

// wait adds a waiter for the broker's next answer. It is called with the
// stripe's lock held and releases it.
func (i *Interest) wait(stripe *interestStripe, e *interestEntry, waiter *interestWaiter) {
	waiter.since, waiter.next = i.now(), e.waiters
	e.waiters = waiter
	accepted := e.state == subscriptionEnding || i.enqueue(stripe, e)
	var refused *interestWaiter
	if !accepted {
		refused = stripe.takeWaiters(e, ErrClosed)
		stripe.setState(e, subscriptionDoubtful)
	}
	stripe.mu.Unlock()
	if refused != nil {
		// The workers have ended, and done may expect not to run inside the
		// call.
		go refused.finish(ErrClosed)
	}
}

// Interrupted returns true while messages of the channel may not arrive,
// although its subscription was confirmed. The loops that have acquired the
// channel call Confirm then, before they rely on it. It does not block.
func (i *Interest) Interrupted(channel string) bool {
	return i.interruptible != nil && i.interruptible.Interrupted(i.partition(channel))
}

// Confirm subscribes a channel again that a loop has acquired. It calls done
// exactly once, on another goroutine, when the messages arrive again, or with
// an error as Acquire does. The loop keeps the channel in either case.
func (i *Interest) Confirm(channel string, done func(error)) {
	stripe := i.stripe(channel)
	stripe.mu.Lock()
	e, found := stripe.entries.get(channel)
	if !found {
		stripe.mu.Unlock()
		panic("cluster: Confirm of a channel that no loop has acquired")
	}
	i.wait(stripe, e, &interestWaiter{done: done})
}

// acquireNow confirms a wanted entry immediately if the broker can. It is
// called with the stripe's lock held and releases it during the call: the entry
// stays, because the caller has marked its loop in it. An entry whose
// subscription is being ended is left to the worker, whose call could otherwise
// overtake this one.
func (i *Interest) acquireNow(stripe *interestStripe, e *interestEntry) bool {
	if i.syncSubscriber == nil || e.state == subscriptionEnding || i.closed.Load() {
		return false
	}
	stripe.mu.Unlock()
	confirmed := i.syncSubscriber.SubscribeNow(e.channel)
	stripe.mu.Lock()
	if confirmed {
		stripe.setState(e, subscriptionConfirmed)
	}
	return confirmed
}

// enqueue hands an entry to the worker, and returns false if Interest is
// closed. It is called with the stripe's lock held.
func (i *Interest) enqueue(stripe *interestStripe, e *interestEntry) bool {
	if e.queued {
		return true
	}
	if !i.worker(e.channel).pushPending(e) {
		return false
	}
	e.queued = true
	stripe.setState(e, subscriptionWaiting)
	return true
}

// Release ends a loop's use of the channel. It is called once for every Acquire
// that succeeded. For a channel that the loop has not acquired it does nothing.
func (i *Interest) Release(channel string, loop int) {
	bit := loopBit(loop)
	stripe := i.stripe(channel)
	stripe.mu.Lock()
	defer stripe.mu.Unlock()
	e, found := stripe.entries.get(channel)
	if !found || e.loops&bit == 0 {
		return
	}
	e.loops &^= bit
	if e.loops == 0 && (e.state == subscriptionConfirmed || e.state == subscriptionDoubtful) {
		i.unsubscribeLater(e)
	}
}

// unsubscribeLater puts an entry without loops into the worker's idle queue. It
// is called with the stripe's lock held.
func (i *Interest) unsubscribeLater(e *interestEntry) {
	e.idleSince = i.now()
	if !e.idle {
		e.idle = true
		i.worker(e.channel).pushIdle(e, e.idleSince+i.config.UnsubscribeDelay)
	}
}

// Loops returns the loops that have acquired the channel, loop n as bit n. A
// loop counts from its call to Acquire on, so that it misses no message that
// arrives before the confirmation, even while it has no members. Loops takes a
// short lock and does not allocate; Deliver calls it.
func (i *Interest) Loops(channel string) uint64 {
	stripe := i.stripe(channel)
	stripe.mu.Lock()
	defer stripe.mu.Unlock()
	e, found := stripe.entries.get(channel)
	if !found {
		return 0
	}
	return e.loops
}

// Stats returns the number of confirmed subscriptions, idle ones included, and
// the number of those that wait for confirmation.
func (i *Interest) Stats() (subscriptions, pending int) {
	for n := range i.stripes {
		stripe := &i.stripes[n]
		stripe.mu.Lock()
		subscriptions += stripe.subscribed
		pending += stripe.waiting
		stripe.mu.Unlock()
	}
	return subscriptions, pending
}

// Close ends the calls to the broker and answers all waiting and later Acquires
// with ErrClosed. It waits for the goroutines until ctx ends, and then returns
// the error of ctx; a second Close waits again. It does not unsubscribe,
// because the broker's Close does. Release and Loops still work.
func (i *Interest) Close(ctx context.Context) error {
	i.closed.Store(true)
	i.cancel()
	ended := make(chan struct{})
	go i.await(ended)
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// await closes ended when the workers have ended.
func (i *Interest) await(ended chan<- struct{}) {
	i.group.Wait()
	close(ended)
}

func (i *Interest) now() time.Duration {
	return time.Since(i.epoch)
}

func (i *Interest) stripe(channel string) *interestStripe {
	return &i.stripes[maphash.String(i.seed, channel)%interestStripes]
}

func (i *Interest) worker(channel string) *interestWorker { return i.workers[i.partition(channel)] }

func (i *Interest) partition(channel string) int {
	if i.partitioned == nil {
		return 0
	}
	return i.partitioned.Partition(channel)
}

// loopBit panics for a loop that would miss its messages.
func loopBit(loop int) uint64 {
	if loop < 0 || loop >= maxInterestLoops {
		panic("cluster: loop number outside 0 to 63")
	}
	return 1 << loop
}
