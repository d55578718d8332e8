package engine

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/internal/bucket"
)

// CongestionSet is a set of sources of congestion, one bit each.
type CongestionSet uint16

// congestionBits is how many sources have a bit of their own.
const congestionBits = 16

// EverySource is the set of all sources.
const EverySource = CongestionSet(1<<congestionBits - 1)

// CongestionSource returns the set of one source. Sources beyond the bits share
// the last one: congestion of one of them pauses the connections of all of
// them.
func CongestionSource(source int) CongestionSet { return 1 << min(source, congestionBits-1) }

// Congestion counts why connections that feed a source are not read: full
// queues behind it. The zero value is ready for use and safe for concurrent
// use.
type Congestion struct {
	now atomic.Uint32 // sources with a cause

	mu     sync.Mutex          // guards the rest; no other lock is taken inside
	causes [congestionBits]int // of each source
	eased  chan struct{}       // closed when a source has lost its last cause; nil: no caller waits
}

// Set returns the congested sources.
func (g *Congestion) Set() CongestionSet { return CongestionSet(g.now.Load()) }

// Add counts a cause for each source of the set.
func (g *Congestion) Add(set CongestionSet) { g.change(set, 1) }

// Remove undoes one Add. It reports whether a source has lost its last cause.
func (g *Congestion) Remove(set CongestionSet) (relieved bool) { return g.change(set, -1) }

func (g *Congestion) change(set CongestionSet, by int) (relieved bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var now CongestionSet
	for i := range g.causes {
		if set&(1<<i) != 0 {
			g.causes[i] += by
		}
		if g.causes[i] > 0 {
			now |= 1 << i
		}
	}
	before := CongestionSet(g.now.Swap(uint32(now)))
	relieved = before&^now != 0
	if relieved && g.eased != nil {
		close(g.eased)
		g.eased = nil
	}
	return relieved
}

// Wait returns when no source of the set is congested, with the error of ctx
// when it ends first, or with errClosed when closed is closed first.
func (g *Congestion) Wait(ctx context.Context, closed <-chan struct{}, errClosed error, set CongestionSet) error {
	for g.Set()&set != 0 {
		g.mu.Lock()
		if g.Set()&set == 0 {
			g.mu.Unlock()
			break
		}
		if g.eased == nil {
			g.eased = make(chan struct{})
		}
		eased := g.eased
		g.mu.Unlock()
		select {
		case <-eased:
		case <-ctx.Done():
			return ctx.Err()
		case <-closed:
			return errClosed
		}
	}
	return nil
}

// Feed notes that the connection publishes to the sources: it is not read while
// one of them is congested.
func (c *Conn) Feed(sources CongestionSet) { c.feeds |= sources }

// Unfeed ends a Feed.
func (c *Conn) Unfeed(sources CongestionSet) { c.feeds &^= sources }

// pauseIfCongested pauses a connection while a source that it feeds is
// congested.
func (c *Conn) pauseIfCongested() bool {
	if c.feeds&c.loop.server.congestion.Set() == 0 {
		return false
	}
	c.pause |= pauseCongested
	c.loop.congested = append(c.loop.congested, c)
	return true
}

// slowDown makes all sources congested, or ends that.
func (s *Server) slowDown(slow bool) {
	if slow {
		s.congestion.Add(EverySource)
		return
	}
	if s.congestion.Remove(EverySource) {
		for _, l := range s.loops {
			l.Post(l.ResumeRelieved)
		}
	}
}

// ResumeRelieved reads again from the connections whose sources are no longer
// congested. It belongs to the loop.
func (l *Loop) ResumeRelieved() {
	congested := l.server.congestion.Set()
	paused := l.congested
	l.congested = nil
	for _, c := range paused {
		if c.state == connOpen && c.feeds&congested != 0 {
			l.congested = append(l.congested, c)
			continue
		}
		c.Resume(pauseCongested)
	}
}

func (l *Loop) setRates(rates *bucket.Limits) {
	if l.rates = rates; rates.IsZero() {
		l.rates = nil
	}
}

// pauseIfOverRate counts a frame, and pauses a connection that exceeds a rate
// with it.
func (c *Conn) pauseIfOverRate(h *ws.Header, frame []byte) bool {
	l := c.loop
	meter := c.needMeter()
	wait, cause := meter.Admit(l.rates, l.now, len(frame))
	if wait == 0 {
		return false
	}
	if h.OpCode.IsData() && h.Fin && c.awaits(h, frame) {
		meter.Pass()
		return false
	}
	l.stats.RatePauses[cause]++
	l.stats.OverRate++
	c.pause |= pauseRate
	l.setAlarm(c, wait, alarmRate)
	return true
}

// awaits asks the owner about a message of one frame, which is still masked.
func (c *Conn) awaits(h *ws.Header, frame []byte) bool {
	var start [24]byte // longer than a token
	n := copy(start[:], frame[len(frame)-int(h.Length):])
	ws.Cipher(start[:n], h.Mask, 0)
	return !c.fragmented() && c.handler.Awaits(start[:n])
}

func (c *Conn) needMeter() *bucket.Meter {
	rare := c.needRare()
	if rare.meter == nil {
		rare.meter, rare.probed = new(bucket.Meter), c.loop.now
	}
	return rare.meter
}

// Uncount takes back that a message of so many bytes counted against the rates.
func (c *Conn) Uncount(size int) {
	if c.rare != nil && c.rare.meter != nil {
		c.rare.meter.Return(size)
	}
}

// SetGroup makes the connection share the rates of a group. Nil ends that.
func (c *Conn) SetGroup(g *bucket.Group) {
	if g != nil || c.rare != nil && c.rare.meter != nil {
		c.needMeter().SetGroup(g)
	}
}

// onRateAlarm ends the pause of a connection that has exceeded a rate.
func (c *Conn) onRateAlarm() {
	if c.pause&pauseRate == 0 {
		return
	}
	l := c.loop
	if l.rates != nil {
		wait, exceeded := c.rare.meter.Wake(l.rates, l.now)
		if exceeded {
			c.Close(l.server.config.RateCode, rateReason)
			return
		}
		c.probe()
		if wait > 0 {
			l.setAlarm(c, wait, alarmRate)
			return
		}
	}
	l.stats.OverRate--
	c.Resume(pauseRate)
}

// RetryRate ends the pause of a connection that has exceeded a rate, after the
// rates have changed.
func (c *Conn) RetryRate() {
	if c.pause&pauseRate != 0 {
		c.rare.meter.Retry(c.loop.now)
		c.onRateAlarm()
	}
}

// probe pings a connection that is not read most of the time. The answer would
// be behind the messages that wait, but a peer that is gone resets the socket.
func (c *Conn) probe() {
	l := c.loop
	if l.times.ping > 0 && l.now-c.rare.probed >= l.times.ping {
		c.rare.probed = l.now
		l.stats.PingsSent++
		c.Send(pingFrame, 1)
	}
}

// rateReason is the reason of a close. The client should not be back at once.
const rateReason = "sends too much; retry-after=5000"

// endMeter ends the pause of a connection that has ended.
func (c *Conn) endMeter() {
	if c.pause&pauseRate != 0 {
		c.pause &^= pauseRate
		c.loop.stats.OverRate--
		c.rare.meter.End()
	}
}
