package hub

import (
	"slices"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/connid"
	"github.com/stoa-io/stoa/internal/engine"
)

// deliver turns a message of the broker into a frame, once, which enters the
// inbox of every shard that has members. The broker calls it under the
// channel's lock, which gives all shards one order.
func (h *Hub) deliver(channel string, env *cluster.Envelope) {
	if env.Kind == cluster.EnvelopeControl {
		h.peer.Deliver(env)
		return
	}
	if rooms := h.recovery.Load(); rooms != nil && !env.Position.IsZero() {
		rooms.Receive(channel, env)
		return
	}
	loops := h.interest.Loops(channel)
	if loops == 0 || env.Repeat {
		return
	}
	h.post(loops, &delivery{
		channel:  channel,
		frame:    engine.NewFrame(engine.Opcode(env.Binary), env.Payload),
		volatile: env.Volatile,
	}, env.Origin, env.Except)
}

// post posts a delivery to the inboxes of a set of loops. origin and except are
// the IDs of connections that must not receive it.
func (h *Hub) post(loops uint64, d *delivery, origin string, except []string) {
	d.origin, _ = connid.Parse(h.config.ID, origin)
	if len(except) > 0 {
		d.except = h.localRefs(except)
	}
	for i, s := range h.shards {
		if loops&(1<<i) != 0 {
			s.postDelivery(d)
		}
	}
}

// localRefs are the connections of this node among the IDs, nil if there are
// none.
func (h *Hub) localRefs(ids []string) *[]connid.Ref {
	var local []connid.Ref
	for _, id := range ids {
		if r, ok := connid.Parse(h.config.ID, id); ok {
			local = append(local, r)
		}
	}
	if local == nil {
		return nil
	}
	return &local
}

// maxMergedFrame bounds the piece into which the frames of a run are copied.
const maxMergedFrame = 32 << 10

// deliverRun queues the frames of a run of deliveries for the members of their
// channel. Several frames are copied into one piece first, once for all
// members: a member then costs one entry and one write, however many messages
// there were. The sender of one of them gets the others one by one. It returns
// how many entries were queued.
func (s *Shard) deliverRun(run []entry) int {
	to := s.channels[run[0].channel].members
	switch {
	case to == nil:
		return 1 + s.deliverToUser(run)
	case run[0].volatile:
		return 1 + s.deliverVolatile(to, run)
	}
	queued, whole, slow := 1, run, false
	for len(run) > 0 {
		members := to.Members()
		n, piece := merge(run, len(members))
		frames := variantsOf(run[:n], piece)
		origins := s.origins(run[:n])
		// A member that is closed as too slow leaves the room at once, and the
		// last one takes its place: backwards that one has been served.
		for i := len(members) - 1; i >= 0; i-- {
			c := members[i]
			drop := c.IsOver() && c.dropsDelivery(to)
			if len(origins) > 0 && slices.Contains(origins, c) {
				queued += c.deliverOthers(to, run[:n], drop)
			} else if drop {
				c.miss(to, run[:n])
			} else {
				if frames.kept {
					c.noticeMissed()
				}
				c.Conn.Send(frames.of(c), n)
				s.stats.Deliveries += uint64(n)
				queued++
			}
			if !c.IsOpen() {
				members = to.Members()
			} else if !slow && c.IsOver() {
				slow = !s.dropsSlow(to)
			}
		}
		run = run[n:]
	}
	if slow {
		s.pauseOrigins(whole)
	}
	return queued
}

// deliverVolatile is deliverRun for volatile messages. A member whose socket
// does not keep up receives none of them, and that has no other consequence.
func (s *Shard) deliverVolatile(to group, run []entry) (queued int) {
	for len(run) > 0 {
		members := to.Members()
		n, piece := merge(run, len(members))
		origins := s.origins(run[:n])
		for i := len(members) - 1; i >= 0; i-- {
			c := members[i]
			if len(origins) > 0 && slices.Contains(origins, c) {
				for j := range run[:n] {
					if !c.excluded(&run[j].delivery) {
						queued += c.offer(run[j].frame, 1)
					}
				}
			} else {
				queued += c.offer(piece, n)
			}
			if !c.IsOpen() { // its socket has failed, and the last member took its place
				members = to.Members()
			}
		}
		run = run[n:]
	}
	return queued
}

// offer queues the frames of volatile messages, unless they would be late. It
// returns how many entries were queued.
func (c *Client) offer(frames []byte, n int) (queued int) {
	if !c.Offer(frames, n) {
		return 0
	}
	c.Shard().stats.Deliveries += uint64(n)
	return 1
}

// merge returns the first frames of a run as one piece, and how many they are.
func merge(run []entry, members int) (n int, piece []byte) {
	size := 0
	for n < len(run) && (n == 0 || size+len(run[n].frame) <= maxMergedFrame) {
		size += len(run[n].frame)
		n++
	}
	if n == 1 || members < 2 {
		return 1, run[0].frame
	}
	piece = make([]byte, 0, size)
	for i := range run[:n] {
		piece = append(piece, run[i].frame...)
	}
	return n, piece
}

// origins returns the connections of this loop that must not receive all of the
// deliveries: they sent one, or are excepted.
func (s *Shard) origins(run []entry) []*Client {
	origins := s.senders[:0]
	for i := range run {
		d := &run[i].delivery
		if c := s.Find(d.origin); c != nil && !slices.Contains(origins, c) {
			origins = append(origins, c)
		}
		for _, r := range d.excepted() {
			if c := s.Find(r); c != nil && !slices.Contains(origins, c) {
				origins = append(origins, c)
			}
		}
	}
	s.senders = origins
	return origins
}

// excluded reports whether the connection must not receive the delivery.
func (c *Client) excluded(d *delivery) bool {
	return c.is(d.origin) || slices.ContainsFunc(d.excepted(), c.is)
}

func (c *Client) is(r connid.Ref) bool { return r == c.ref() }

// deliverOthers queues the frames from which the connection is not excluded.
// One that is closed as too slow gets no more: its close frame is the last.
func (c *Client) deliverOthers(to group, run []entry, drop bool) (queued int) {
	for i := range run {
		switch {
		case !c.IsOpen() || c.excluded(&run[i].delivery):
		case drop:
			c.miss(to, run[i:i+1])
		default:
			c.noticeMissed()
			frames := variantsOf(run[i:i+1], run[i].frame)
			c.Conn.Send(frames.of(c), 1)
			c.Shard().stats.Deliveries++
			queued++
		}
	}
	return queued
}
