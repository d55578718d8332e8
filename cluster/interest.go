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
	// SubscribeTimeout bounds one call to the broker. An Acquire may wait twice
	// as long: for the call in flight, and for its own. The default is 5 s.
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
	config         InterestConfig
	epoch          time.Time // what interestEntry.idleSince counts from
	seed           maphash.Seed
	stripes        [interestStripes]interestStripe
	workers        []*interestWorker

	closed atomic.Bool
	cancel context.CancelFunc
	group  sync.WaitGroup
}

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

// interestWaiter is one Acquire that has not been answered.
type interestWaiter struct {
	bit  uint64
	done func(error)
	next *interestWaiter
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
// acquired it already. It returns true if the subscription is confirmed, which
// is the usual case and does not allocate. Otherwise it returns false, and
// calls done exactly once, on another goroutine, with nil or an error. After an
// error the loop has not acquired the channel. The error is ErrClosed or wraps
// that of the broker. done must not block; it may call Interest.
//
// An Acquire cannot be canceled: a caller that no longer needs the channel
// waits for done, and releases the channel if done reported nil. Messages may
// arrive before the subscription is confirmed.
func (i *Interest) Acquire(channel string, loop int, done func(error)) bool {
	bit := loopBit(loop)
	stripe := i.stripe(channel)
	stripe.mu.Lock()
	e, found := stripe.entries.get(channel)
	if found && e.state == subscriptionConfirmed && !i.closed.Load() {
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
	e.waiters = &interestWaiter{bit: bit, done: done, next: e.waiters}
	accepted := e.state == subscriptionEnding || i.enqueue(stripe, e)
	var refused *interestWaiter
	if !accepted {
		refused = stripe.takeWaiters(e, ErrClosed)
		stripe.setState(e, subscriptionDoubtful)
	}
	stripe.mu.Unlock()
	if refused != nil {
		// The workers have ended, and done may expect not to run inside
		// Acquire.
		go refused.finish(ErrClosed)
	}
	return false
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
	if e.loops == 0 && e.state == subscriptionConfirmed {
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

func (i *Interest) worker(channel string) *interestWorker {
	if i.partitioned == nil {
		return i.workers[0]
	}
	return i.workers[i.partitioned.Partition(channel)]
}

// loopBit panics for a loop that would miss its messages.
func loopBit(loop int) uint64 {
	if loop < 0 || loop >= maxInterestLoops {
		panic("cluster: loop number outside 0 to 63")
	}
	return 1 << loop
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
