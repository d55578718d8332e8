package hub

import (
	"slices"
	"time"

	"github.com/stoa-io/stoa/internal/connid"
	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/wire"
)

// A connection whose send queue exceeds its limit is not slow at once. It may
// stay above it as long as its socket takes a good part of the limit in each
// slowWindow; in the meantime it is not read, and neither are the connections
// of this node whose messages it has yet to take. So a burst slows its senders
// down, and only a client that does not read is closed.
//
// A namespace can have its deliveries dropped instead (App.DropsSlow). A member
// of it is lenient: its own messages are still read, and it is closed only when
// the frames for it alone exceed the limit again. A delivery of another
// namespace ends that.
const (
	// slowWindow is how long the socket of such a connection may take to accept
	// half of the limit, in milliseconds.
	slowWindow = 2000
	// maxOver bounds its send queue, in multiples of the limit. Deliveries are
	// shared by all members of a room, so they cost an entry each.
	maxOver = 128
	// senderPause is how long a sender is not read after one of its messages
	// met such a member.
	senderPause = 20 * time.Millisecond
)

// over is the state of a connection whose send queue exceeds its limit.
type over struct {
	since   uint32 // when the window began, by the loop's clock
	written int    // bytes that the socket had taken then
	private int    // bytes queued since that no other connection shares
	lenient bool   // deliveries are dropped, so the window does not count
	// missed are the rooms whose kept messages were dropped since, nil: none.
	missed map[*room]struct{}
}

// Slow implements engine.Handler.
func (c *Client) Slow() {
	rare := c.needRare()
	if rare.over == nil {
		rare.over = &over{lenient: true}
		c.Shard().stats.SendQueueExceeded++
		if !c.inDropping() {
			c.beginWindow()
		}
	}
	limit := c.Loop().SendQueueLimit()
	if c.QueuedBytes() > maxOver*limit || rare.over.private > limit {
		c.closeSlow()
	}
}

// inDropping reports whether a namespace of the client drops deliveries for
// slow members.
func (c *Client) inDropping() bool {
	for ns := range c.session.Namespaces() {
		if joined, ok := ns.(*Namespace); ok && c.Shard().app.DropsSlow(joined) {
			return true
		}
	}
	return false
}

// dropsSlow reports whether deliveries to the members of the channel are
// dropped for slow ones. The channel of a user belongs to no namespace.
func (s *Shard) dropsSlow(to group) bool {
	ns := to.in()
	return ns != nil && s.app.DropsSlow(ns)
}

// beginWindow stops reading the connection, and begins to judge it.
func (c *Client) beginWindow() {
	o := c.rare().over
	o.lenient, o.since, o.written = false, c.Loop().Now(), c.WrittenBytes()
	c.WantTick(true)
	c.Pause(engine.PauseSlow)
}

// dropsDelivery reports whether a delivery to the connection, whose send queue
// has exceeded its limit, is dropped.
func (c *Client) dropsDelivery(to group) bool {
	if c.Shard().dropsSlow(to) {
		return true
	}
	if c.rare() != nil && c.rare().over != nil && c.rare().over.lenient {
		c.beginWindow()
	}
	return false
}

// Drained implements engine.Handler.
func (c *Client) Drained() {
	if c.rare() == nil || c.rare().over == nil {
		return
	}
	missed := c.rare().over.missed
	c.rare().over = nil
	c.tidyTick()
	c.Resume(engine.PauseSlow)
	c.noticeGaps(missed)
}

// miss counts a run of deliveries that is dropped for the member of a channel.
// It has notice later if positions would not show it.
func (c *Client) miss(to group, run []entry) {
	c.Shard().stats.DeliveriesDropped += uint64(len(run))
	in, ok := to.(*room)
	kept := func(e entry) bool { return e.kept != nil }
	if !ok || c.rare() == nil || c.rare().over == nil || !c.hasPositions() || !slices.ContainsFunc(run, kept) {
		return
	}
	o := c.rare().over
	if o.missed == nil {
		o.missed = make(map[*room]struct{})
	}
	o.missed[in] = struct{}{}
}

// noticeMissed notifies the client of the gaps that it has yet to learn of: in
// front of the next message, whose position would hide them.
func (c *Client) noticeMissed() {
	if c.rare() == nil || c.rare().over == nil || c.rare().over.missed == nil {
		return
	}
	missed := c.rare().over.missed
	c.rare().over.missed = nil
	c.noticeGaps(missed)
}

// noticeGaps notifies the client of gaps in those of the rooms that it is in.
func (c *Client) noticeGaps(missed map[*room]struct{}) {
	if missed == nil {
		return
	}
	var current []*room // a notice may end the connection, and its memberships
	for ns := range c.session.Namespaces() {
		for joined := range c.session.Rooms(ns) {
			if in, ok := joined.(*room); ok {
				if _, is := missed[in]; is {
					current = append(current, in)
				}
			}
		}
	}
	for _, in := range current {
		if c.IsOpen() {
			c.SendMessage((&roomNotice{event: wire.EventHistoryGap}).frame(in))
		}
	}
}

// judgeSlow closes a connection whose socket has not taken enough in a window.
func (c *Client) judgeSlow() {
	if c.rare() == nil || c.rare().over == nil || c.rare().over.lenient {
		return
	}
	o, now := c.rare().over, c.Loop().Now()
	if now-o.since < slowWindow {
		return
	}
	// The counter starts anew with each queue: less than before is progress,
	// too.
	taken := c.WrittenBytes() - o.written
	if taken < 0 || taken >= c.Loop().SendQueueLimit()/2 {
		o.since, o.written = now, c.WrittenBytes()
		return
	}
	c.closeSlow()
}

// closeSlow closes a connection whose client does not read fast enough.
func (c *Client) closeSlow() {
	c.DropUnsent()
	c.Close(uint16(wire.CodeSlowConsumer), "slow consumer")
}

// countPrivate counts a frame that only this connection receives.
func (c *Client) countPrivate(size int) {
	if c.rare() != nil && c.rare().over != nil {
		c.rare().over.private += size
	}
}

// pauseOrigins pauses the senders of a run for a moment.
func (s *Shard) pauseOrigins(run []entry) {
	for i := range run {
		s.hub.pauseSender(run[i].origin)
	}
}

// pauseSender pauses a connection of this node for a moment, if it is not
// paused already.
func (h *Hub) pauseSender(r connid.Ref) {
	if s := h.shardOf(r); s != nil {
		s.Submit(pauseTask(r))
	}
}

// pauseTask pauses a sender.
type pauseTask connid.Ref

// Run implements Task.
func (t pauseTask) Run(s *Shard) {
	c := s.Find(connid.Ref(t))
	if c == nil || !c.IsOpen() || c.IsPaused(engine.PauseSlow) {
		return
	}
	c.Pause(engine.PauseSlow)
	s.stats.SendersPaused++
	time.AfterFunc(senderPause, func() { s.Submit(resumeTask(t)) })
}

// resumeTask reads a paused sender again, unless its own queue is over its
// limit.
type resumeTask connid.Ref

// Run implements Task.
func (t resumeTask) Run(s *Shard) {
	if c := s.Find(connid.Ref(t)); c != nil && (c.rare() == nil || c.rare().over == nil || c.rare().over.lenient) {
		c.Resume(engine.PauseSlow)
	}
}
