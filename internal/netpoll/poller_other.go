//go:build !linux

package netpoll

import (
	"sync/atomic"
	"time"
)

// Available reports whether this system has epoll.
const Available = false

// poller only sleeps and wakes: without epoll every connection is served by a
// stream, whose goroutines tell the loop through its inbox.
type Poller struct {
	signal chan struct{}
	awake  atomic.Bool
}

// New returns a poller.
func New() (*Poller, error) {
	p := &Poller{signal: make(chan struct{}, 1)}
	p.awake.Store(true)
	return p, nil
}

// Add fails.
func (p *Poller) Add(int, int32, uint32) error { return errNoSockets }

// Remove fails.
func (p *Poller) Remove(int) error { return errNoSockets }

// Sleep announces that the loop is about to park.
func (p *Poller) Sleep() { p.awake.Store(false) }

// Wait returns at once without park, else when Wake is called or the deadline
// passes.
func (p *Poller) Wait(events []Event, park bool, deadline time.Time) ([]Event, error) {
	defer p.awake.Store(true)
	if !park {
		return events, nil
	}
	if deadline.IsZero() {
		<-p.signal
		return events, nil
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-p.signal:
	case <-timer.C:
	}
	return events, nil
}

// Wake ends one Wait, the current or the next. Safe for concurrent use.
func (p *Poller) Wake() {
	if p.awake.Load() || !p.awake.CompareAndSwap(false, true) {
		return
	}
	select {
	case p.signal <- struct{}{}:
	default:
	}
}

// Close does nothing.
func (p *Poller) Close() error { return nil }
