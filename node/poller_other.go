//go:build !linux

package node

import (
	"sync/atomic"
	"time"
)

const haveEpoll = false

// poller only sleeps and wakes: without epoll every connection is served by a
// stream, whose goroutines tell the loop through its inbox.
type poller struct {
	signal chan struct{}
	awake  atomic.Bool
}

func newPoller() (*poller, error) {
	p := &poller{signal: make(chan struct{}, 1)}
	p.awake.Store(true)
	return p, nil
}

func (p *poller) add(int, int32, uint32) error { return errNoSockets }
func (p *poller) remove(int) error             { return errNoSockets }
func (p *poller) sleep()                       { p.awake.Store(false) }

func (p *poller) wait(events []event, park bool, deadline time.Time) ([]event, error) {
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

func (p *poller) wake() {
	if p.awake.Load() || !p.awake.CompareAndSwap(false, true) {
		return
	}
	select {
	case p.signal <- struct{}{}:
	default:
	}
}

func (p *poller) close() error { return nil }
