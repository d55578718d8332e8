package redisbroker

import (
	"context"
	"slices"
	"sync"

	"github.com/stoa-io/stoa/cluster"
)

// subscribeBatch is the number of channels in one command. maxUnconfirmed
// bounds the channels that wait for confirmation, so that the server delivers
// messages between commands.
const (
	subscribeBatch = 512
	maxUnconfirmed = 8 * subscribeBatch

	// The map of channels is rebuilt when a quarter of its largest size is
	// left, unless that was too small to matter.
	shrinkFraction = 4
	minShrinkPeak  = 64
)

// subscriptions are the channels that a node subscribes to on one server, with
// or without a connection. Safe for concurrent use.
type subscriptions struct {
	mu        sync.Mutex // guards the rest
	closed    bool
	channels  map[string]*subscription
	peak      int // largest size since the map was built
	confirmed int
	session   *subscriberSession // nil without a connection
}

// subscription is one channel. The server confirms commands for a channel in
// the order in which they were sent; the last one counts.
type subscription struct {
	wanted      bool
	confirmed   bool
	ending      bool // the last command was to unsubscribe
	outstanding int  // commands that are not confirmed
	waiters     *subscriptionWaiter
}

// subscriptionWaiter is a call that waits for a channel.
type subscriptionWaiter struct {
	call *subscriptionCall
	next *subscriptionWaiter
}

// subscriptionCall is a call to Subscribe or Unsubscribe.
type subscriptionCall struct {
	remaining int           // channels; guarded by subscriptions.mu
	done      chan struct{} // closed when none remain
}

// change subscribes or unsubscribes the channels, and waits for the
// confirmation.
func (s *subscriptions) change(ctx context.Context, wanted bool, closing <-chan struct{}, channels []string) error {
	call := &subscriptionCall{done: make(chan struct{})}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return cluster.ErrClosed
	}
	for _, channel := range channels {
		if wanted {
			s.want(channel, call)
		} else {
			s.unwant(channel, call)
		}
	}
	waits := call.remaining > 0
	s.mu.Unlock()
	if !waits {
		return nil
	}
	select {
	case <-call.done:
		return nil
	case <-ctx.Done():
		s.abandon(call, channels)
		return ctx.Err()
	case <-closing:
		s.abandon(call, channels)
		return cluster.ErrClosed
	}
}

// want requests a subscription. It is called with mu held.
func (s *subscriptions) want(channel string, call *subscriptionCall) {
	e, found := s.channels[channel]
	if !found {
		e = &subscription{}
		s.insert(channel, e)
	}
	e.wanted = true
	if e.outstanding == 0 && e.confirmed && !s.session.doubtful() {
		return
	}
	if s.session != nil && (e.outstanding == 0 || e.ending) {
		e.ending = false
		e.outstanding++
		s.session.add(false, channel)
	}
	e.wait(call)
}

// unwant requests the end of a subscription. It is called with mu held.
func (s *subscriptions) unwant(channel string, call *subscriptionCall) {
	e, found := s.channels[channel]
	if !found {
		return
	}
	e.wanted = false
	if e.outstanding == 0 && !e.confirmed {
		s.remove(channel)
		return
	}
	if e.outstanding == 0 || !e.ending {
		e.ending = true
		e.outstanding++
		s.session.add(true, channel)
	}
	e.wait(call)
}

// wait adds a call to the waiters. It is called with the lock held.
func (e *subscription) wait(call *subscriptionCall) {
	call.remaining++
	e.waiters = &subscriptionWaiter{call: call, next: e.waiters}
}

// finish ends the waiting of all calls. It is called with the lock held.
func (e *subscription) finish() {
	for w := e.waiters; w != nil; w = w.next {
		if w.call.remaining--; w.call.remaining == 0 {
			close(w.call.done)
		}
	}
	e.waiters = nil
}

// abandon removes a call that has ended from the waiters.
func (s *subscriptions) abandon(call *subscriptionCall, channels []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, channel := range channels {
		e, found := s.channels[channel]
		if !found {
			continue
		}
		for link := &e.waiters; *link != nil; {
			if (*link).call == call {
				*link = (*link).next
			} else {
				link = &(*link).next
			}
		}
	}
}

// confirm handles a confirmation from the server. The read loop calls it.
func (s *subscriptions) confirm(session *subscriberSession, channel string, subscribed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	session.confirmed()
	e, found := s.channels[channel]
	if !found || e.outstanding == 0 {
		return
	}
	if e.outstanding--; e.outstanding > 0 {
		return
	}
	s.setConfirmed(e, subscribed)
	if !e.wanted {
		s.remove(channel)
	}
	e.finish()
}

// setConfirmed is called with mu held.
func (s *subscriptions) setConfirmed(e *subscription, confirmed bool) {
	if e.confirmed != confirmed {
		e.confirmed = confirmed
		if confirmed {
			s.confirmed++
		} else {
			s.confirmed--
		}
	}
}

// attach starts a connection: it subscribes all wanted channels, those of last
// after all others.
func (s *subscriptions) attach(session *subscriberSession, last ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.session = session
	for _, channel := range last {
		if _, found := s.channels[channel]; !found {
			s.insert(channel, &subscription{wanted: true})
		}
	}
	held := make(map[string]bool, len(last))
	for _, channel := range last {
		held[channel] = true
	}
	for channel, e := range s.channels {
		if !held[channel] {
			e.outstanding, e.ending = 1, false
			session.add(false, channel)
		}
	}
	for _, channel := range last {
		e := s.channels[channel]
		e.outstanding, e.ending = 1, false
		session.add(false, channel)
	}
}

// wanted returns the channels to subscribe, those of last after all others.
func (s *subscriptions) wanted(last ...string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	channels := make([]string, 0, len(s.channels)+len(last))
	for channel, e := range s.channels {
		if e.wanted && !slices.Contains(last, channel) {
			channels = append(channels, channel)
		}
	}
	return append(channels, last...)
}

// adopt starts with a connection that is subscribed to the channels.
func (s *subscriptions) adopt(session *subscriberSession, subscribed []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.session = session
	for _, channel := range subscribed {
		e, found := s.channels[channel]
		if !found {
			e = &subscription{}
			s.insert(channel, e)
		}
		s.setConfirmed(e, true)
		if e.wanted {
			e.finish()
		} else {
			e.outstanding, e.ending = 1, true
			session.add(true, channel)
		}
	}
	for channel, e := range s.channels {
		if !e.confirmed {
			e.outstanding, e.ending = 1, false
			session.add(false, channel)
		}
	}
}

// detach ends a connection, after its read loop. It returns the number of
// channels that were subscribed.
func (s *subscriptions) detach() (interrupted int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.session = nil
	interrupted = s.confirmed
	var unwanted []string
	for channel, e := range s.channels {
		e.outstanding, e.ending = 0, false
		s.setConfirmed(e, false)
		if !e.wanted {
			unwanted = append(unwanted, channel)
			e.finish()
		}
	}
	for _, channel := range unwanted {
		s.remove(channel)
	}
	return interrupted
}

// close rejects further calls.
func (s *subscriptions) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

// count is the number of confirmed subscriptions.
func (s *subscriptions) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.confirmed
}

// insert adds a channel. It is called with mu held.
func (s *subscriptions) insert(channel string, e *subscription) {
	if s.channels == nil {
		s.channels = make(map[string]*subscription)
	}
	s.channels[channel] = e
	s.peak = max(s.peak, len(s.channels))
}

// remove forgets a channel. Go's maps keep their memory, so the map is rebuilt
// when only a fraction of its largest size is left. It is called with mu held.
func (s *subscriptions) remove(channel string) {
	delete(s.channels, channel)
	count := len(s.channels)
	if s.peak < minShrinkPeak || count*shrinkFraction > s.peak {
		return
	}
	kept := make(map[string]*subscription, count)
	for channel, e := range s.channels {
		kept[channel] = e
	}
	s.channels, s.peak = kept, count
}

// subscribeCommand is a SUBSCRIBE or UNSUBSCRIBE that waits to be sent.
type subscribeCommand struct {
	ending   bool
	channels []string
}
