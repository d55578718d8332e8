package hub

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/connid"
	"github.com/stoa-io/stoa/internal/engine"
)

// The queue of a broker's server and the inboxes of the loops are first in,
// first out: the messages of one client that publishes without a pause would
// delay those of all others. So a connection has a share of the messages on the
// way from the node's sockets to its members. Beyond two shares it is not read
// until the first of them has been delivered: the client waits for its own
// messages. Clients that publish less than a share in a round trip never wait.
//
// One message of each share is published with a marker, which tells that the
// broker has taken it, and then passes through the inboxes with its deliveries.
const (
	// fullShare is the share in bytes, where a message costs messageCost in
	// addition to its payload. The paused connections divide it down to
	// minShare, so that the queue of many floods grows slowly with their
	// number. A share of a message or two would make every client next to them
	// wait for each of its messages.
	fullShare   = 32 << 10
	minShare    = 8 << 10
	messageCost = 1 << 10
	// loneShare is the share of the only client of a node that publishes: no
	// other one waits, and larger batches cost less. others is how long a
	// client counts after it has published, in milliseconds.
	loneShare = 128 << 10
	others    = 100
	// maxSharePause bounds the pause, in milliseconds. A server that is
	// unreachable must not keep the node from its clients' answers and close
	// frames; a long queue pauses them in any case, with Handler.Congested.
	maxSharePause = 1000
)

// share is the number of bytes after which a connection's next message has a
// marker.
func (h *Hub) share() int { return max(minShare, fullShare/(1+int(h.overShare.Load()))) }

// notePublisher notes that a client of the shard publishes.
func (s *Shard) notePublisher(c *Client) {
	now := s.loop.Now()
	if s.publisher != c.nonce {
		s.publisher, s.others = c.nonce, now+others
	}
	if s.published.Load() != now {
		s.published.Store(now)
	}
}

// isAlone reports whether only the last publisher of the shard has published of
// late.
func (s *Shard) isAlone() bool {
	now := s.loop.Now()
	if engine.Before(now, s.others) {
		return false
	}
	for _, other := range s.hub.shards {
		if last := other.published.Load(); other != s && last != 0 && engine.Before(now, last+others) {
			return false
		}
	}
	return true
}

// marker follows a message of one connection. At most one of a connection is on
// its way.
type marker struct {
	hub    *Hub
	passed func(s *Shard) // runs on the loop that the marker passes last
	done   func(nodes int, err error)

	onWay     atomic.Bool
	refused   atomic.Pointer[error] // the broker has not taken the message
	channel   string                // owned by the publisher until the message is passed on
	remaining atomic.Int32
}

func (h *Hub) newMarker(passed func(*Shard)) *marker {
	m := &marker{hub: h, passed: passed}
	m.done = m.published
	return m
}

// publish is Publish of the broker, with the marker.
func (m *marker) publish(channel string, env *cluster.Envelope) error {
	m.begin(channel)
	m.hub.counting.PublishCount(channel, env, m.done)
	if err := m.refused.Load(); err != nil {
		return *err
	}
	return nil
}

// begin prepares the marker for a message to a channel, for which done is then
// called once.
func (m *marker) begin(channel string) {
	m.channel = channel
	m.refused.Store(nil)
	m.onWay.Store(true)
}

// published sends the marker through the inboxes behind the deliveries. It is
// called when the broker has taken or refused the message.
func (m *marker) published(_ int, err error) {
	if err != nil {
		refused := err // on the heap only then
		m.refused.Store(&refused)
	}
	loops := m.hub.interest.Loops(m.channel)
	if loops == 0 {
		loops = 1 // any loop will do
	}
	m.remaining.Store(int32(bits.OnesCount64(loops)))
	m.hub.submitTo(loops, m)
}

// Run implements Task.
func (m *marker) Run(s *Shard) {
	if m.remaining.Add(-1) == 0 {
		m.onWay.Store(false)
		m.passed(s)
	}
}

// charged is the part of a connection's state that counts its messages.
type charged struct {
	bytes  int
	paused bool   // it is not read, and counted in Hub.overShare
	since  uint32 // the loop's clock; when paused was set
	marker *marker
}

// charge counts a message that the client publishes. It returns a marker if the
// message is to be published with one.
func (c *Client) charge(size int) *marker {
	s := c.Shard()
	if s.hub.counting == nil {
		return nil
	}
	charged := &c.needRare().charged
	charged.bytes += size + messageCost
	s.notePublisher(c)
	if charged.bytes < s.hub.share() || charged.bytes < loneShare && s.isAlone() {
		return nil
	}
	m := charged.marker
	if m == nil {
		passed := passedTask(c.ref()) // one for all times that the marker passes
		m = s.hub.newMarker(func(last *Shard) { s.markerPassed(last, &passed) })
		charged.marker = m
	}
	if m.onWay.Load() {
		c.pauseForShare()
		return nil
	}
	charged.bytes = 0
	return m
}

// wouldPause reports whether charge would pause the connection for a message.
func (c *Client) wouldPause(size int) bool {
	s, rare := c.Shard(), c.rare()
	if rare == nil || rare.charged.marker == nil || !rare.charged.marker.onWay.Load() {
		return false
	}
	bytes := rare.charged.bytes + size + messageCost
	return bytes >= s.hub.share() && (bytes >= loneShare || !s.isAlone())
}

// pauseForShare stops reading a connection that has used up its share.
func (c *Client) pauseForShare() {
	s, charged := c.Shard(), &c.rare().charged
	if charged.paused || !c.IsOpen() {
		return
	}
	charged.paused, charged.since = true, s.loop.Now()
	s.hub.overShare.Add(1)
	s.stats.SharesExceeded++
	c.Pause(engine.PauseShare)
	c.tidyTick()
}

// markerPassed continues with a connection whose marker has passed. It runs on
// the loop that the marker passed last.
func (s *Shard) markerPassed(last *Shard, passed *passedTask) {
	if s != last {
		s.Submit(passed)
		return
	}
	passed.Run(s)
}

// passedTask names a connection whose marker has passed.
type passedTask connid.Ref

// Run implements Task.
func (t *passedTask) Run(s *Shard) {
	if c := s.Find(connid.Ref(*t)); c != nil && c.endSharePause() {
		c.Resume(engine.PauseShare)
	}
}

// endSharePause ends the count of a paused connection.
func (c *Client) endSharePause() (was bool) {
	if c.rare() == nil || !c.rare().charged.paused {
		return false
	}
	c.rare().charged.paused = false
	c.Shard().hub.overShare.Add(-1)
	c.tidyTick()
	return true
}

// boundSharePause ends a pause that has lasted too long.
func (c *Client) boundSharePause() {
	if c.rare() == nil || !c.rare().charged.paused || c.Loop().Now()-c.rare().charged.since < maxSharePause {
		return
	}
	c.rare().charged.bytes = 0
	if c.endSharePause() {
		c.Resume(engine.PauseShare)
	}
}

// tidyTick wants ticks while there is a reason.
func (c *Client) tidyTick() {
	rare := c.rare()
	c.WantTick(rare != nil && (rare.asks != nil || rare.over != nil || rare.charged.paused))
}

// taskShare counts the messages that the tasks of one connection publish. They
// run one at a time.
type taskShare struct {
	bytes  int
	marker *marker
	passed chan struct{} // capacity 1
}

// Publish publishes a message of the connection from one of its tasks. While
// the connection's share is used up it waits, at most a second or until the
// connection closes; a volatile message then fails with ErrVolatileDropped.
func (h *Handle) Publish(channel string, env *cluster.Envelope) error {
	hub := h.shard.hub
	if env.Volatile && (hub.isCongested(channel) || h.wouldWait(len(env.Payload))) {
		return hub.dropVolatile()
	}
	return hub.publish(channel, env, h.charge(len(env.Payload)))
}

// wouldWait reports whether charge would wait with a message.
func (h *Handle) wouldWait(size int) bool {
	share := h.share
	return share != nil && share.marker != nil && share.marker.onWay.Load() &&
		share.bytes+size+messageCost >= min(loneShare, 4*h.shard.hub.share())
}

// charge is Client.charge for a task; it waits instead of pausing.
func (h *Handle) charge(size int) *marker {
	hub := h.shard.hub
	if hub.counting == nil {
		return nil
	}
	if h.share == nil {
		h.share = &taskShare{passed: make(chan struct{}, 1)}
	}
	share := h.share
	if share.bytes += size + messageCost; share.bytes < min(loneShare, 4*hub.share()) {
		return nil
	}
	share.bytes = 0
	if share.marker == nil {
		share.marker = hub.newMarker(func(*Shard) {
			select {
			case share.passed <- struct{}{}:
			default: // no task has waited for the last one
			}
		})
	}
	for share.marker.onWay.Load() {
		limit := time.NewTimer(maxSharePause * time.Millisecond)
		select {
		case <-share.passed: // or an earlier time, so it is checked again
		case <-limit.C:
			return nil
		case <-h.Context().Done():
			limit.Stop()
			return nil
		}
		limit.Stop()
	}
	return share.marker
}
