//go:build linux

package exchange

import (
	"fmt"
	"sync/atomic"
	"time"
)

// patience is how long the publisher waits for outstanding messages.
const patience = 10 * time.Second

// progress lets the publishing goroutine wait for the receiving one.
type progress struct {
	received atomic.Uint64
	wanted   atomic.Uint64 // wake when received reaches it; zero: no waiter
	wake     chan struct{} // capacity 1
	failed   chan error    // capacity 1
}

func newProgress() *progress {
	return &progress{wake: make(chan struct{}, 1), failed: make(chan error, 1)}
}

// reached records the number of received messages. The receiving goroutine
// calls it.
func (p *progress) reached(count uint64) {
	p.received.Store(count)
	if wanted := p.wanted.Load(); wanted != 0 && count >= wanted && p.wanted.CompareAndSwap(wanted, 0) {
		p.wake <- struct{}{}
	}
}

// await returns when at most the given number of the sent messages is
// outstanding.
func (p *progress) await(sent, outstanding uint64) error {
	if sent <= outstanding || p.received.Load() >= sent-outstanding {
		return nil
	}
	p.wanted.Store(sent - outstanding)
	if p.received.Load() >= sent-outstanding && p.wanted.CompareAndSwap(sent-outstanding, 0) {
		return nil
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.wake:
		return nil
	case err := <-p.failed:
		return err
	case <-timer.C:
		return fmt.Errorf("exchange: only %d of %d messages have come back after %v", p.received.Load(), sent, patience)
	}
}
