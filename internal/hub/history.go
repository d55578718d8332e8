package hub

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/internal/recovery"
	"github.com/stoa-io/stoa/internal/recovery/ring"
	"github.com/stoa-io/stoa/internal/rpc"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// KeepHistory prepares the hub for namespaces with a History, unless it is
// prepared or the broker keeps no history. A hub that is not prepared has no
// cost of it.
func (h *Hub) KeepHistory() {
	historian, ok := h.config.Broker.(cluster.Historian)
	if !ok || h.recovery.Load() != nil {
		return
	}
	partitions := 1
	if p, ok := h.config.Broker.(cluster.Partitioned); ok {
		partitions = p.Partitions()
	}
	h.recovery.CompareAndSwap(nil, recovery.New(recovery.Config{
		Historian: historian, Retention: h.retention, Loops: h.interest.Loops,
		Partition: h.partition, Partitions: partitions, Interrupted: h.interrupted,
		NewMessage: newKept, Deliver: h.deliverKept, Gap: h.notifyGap,
		Timeout: max(h.config.JoinTimeout, time.Second), Bytes: h.config.HistoryMemory, Logger: h.log,
	}))
}

// HistoryStats returns the counters about the history of rooms.
func (h *Hub) HistoryStats() recovery.Stats {
	rooms := h.recovery.Load()
	if rooms == nil {
		return recovery.Stats{}
	}
	return rooms.Stats()
}

// retention is that of the room with this channel, nil for all others.
func (h *Hub) retention(channel string) *cluster.Retention {
	address, err := cluster.ParseChannel(channel)
	if err != nil || address.Kind != cluster.KindRoom {
		return nil
	}
	if kept := h.config.App.History(address.Namespace); kept != nil {
		return &kept.Retention
	}
	return nil
}

// acquire is cluster.Interest.Acquire, and opens the room of the channel if it
// has a history: no member enters before.
func (h *Hub) acquire(channel string, loop int, done func(error)) bool {
	rooms := h.recovery.Load()
	if rooms == nil {
		return h.interest.Acquire(channel, loop, done)
	}
	opened := func() { done(nil) }
	subscribed := func(err error) {
		if err != nil || rooms.Open(channel, opened) {
			done(err)
		}
	}
	return h.interest.Acquire(channel, loop, subscribed) && rooms.Open(channel, opened)
}

// release undoes acquire.
func (h *Hub) release(channel string, loop int) {
	h.interest.Release(channel, loop)
	if rooms := h.recovery.Load(); rooms != nil {
		rooms.Release(channel)
	}
}

// newKept copies a message for the ring of its room, and builds its frame.
func newKept(env *cluster.Envelope, at time.Time) *ring.Message {
	return &ring.Message{
		Position: env.Position, Time: at.UnixMilli(), Origin: strings.Clone(env.Origin),
		Except: slices.Clone(env.Except), User: strings.Clone(env.User), Key: ring.OwnKey(env.Key),
		Resent: env.Resent, Repeat: env.Repeat,
		Frame: engine.NewFrame(engine.Opcode(env.Binary), env.Payload), Size: len(env.Payload),
	}
}

// deliverKept posts a message of a room with history.
func (h *Hub) deliverKept(channel string, loops uint64, m *ring.Message) {
	h.post(loops, &delivery{channel: channel, frame: m.Frame, kept: m}, m.Origin, m.Except)
}

// notifyGap tells the members of a room that messages are missing in front of
// the next one.
func (h *Hub) notifyGap(channel string, loops uint64) {
	h.submitTo(loops, &roomNotice{channel: channel, event: wire.EventHistoryGap, feature: wire.FeaturePositions})
}

// RemovedFromHistory tells the nodes with members in a room that a message was
// removed from its history; with a zero position, all messages were.
func (h *Hub) RemovedFromHistory(channel string, p cluster.Position) {
	text, _ := p.AppendText(nil)
	h.peer.NotifyChannel(channel, &rpc.Request{Op: rpc.OpRemoved, Target: channel, Payload: text})
}

// historyRemoved carries out the request of RemovedFromHistory.
func (h *Hub) historyRemoved(r *rpc.Request) {
	rooms := h.recovery.Load()
	p, ok := cluster.ParsePosition(r.Payload)
	if rooms == nil || !ok {
		return
	}
	rooms.Remove(r.Target, p)
	h.submitTo(h.interest.Loops(r.Target), &roomNotice{r.Target, wire.EventHistoryRemoved, r.Payload, wire.FeaturePositions})
}

// hasPositions reports whether the client wants to know the positions of
// messages.
func (c *Client) hasPositions() bool { return c.session.Understands(wire.FeaturePositions) }

// variants are the forms of a run of deliveries: as one piece without
// positions, and, built when first needed, one with positions.
type variants struct {
	run               []entry
	plain, positioned []byte
	kept              bool // one of the run has a position
}

func variantsOf(run []entry, plain []byte) variants {
	v := variants{run: run, plain: plain}
	for i := range run {
		v.kept = v.kept || run[i].kept != nil
	}
	return v
}

// of returns the form for a member.
func (v *variants) of(c *Client) []byte {
	if !v.kept || !c.hasPositions() {
		return v.plain
	}
	if v.positioned != nil {
		return v.positioned
	}
	for i := range v.run {
		if m := v.run[i].kept; m != nil {
			v.positioned = appendPositioned(v.positioned, m)
		} else {
			v.positioned = append(v.positioned, v.run[i].frame...)
		}
	}
	return v.positioned
}

// appendPositioned appends the frame of a message with its position.
func appendPositioned(dst []byte, m *ring.Message) []byte {
	var text [1 + cluster.MaxPositionText]byte
	position, _ := m.Position.AppendText(text[1:1])
	start := wire.AppendPosition(text[:0], position)
	payload := engine.PayloadOf(m.Frame)
	dst = engine.AppendHeader(dst, engine.OpcodeOf(m.Frame), len(start)+len(payload))
	return append(append(dst, start...), payload...)
}

// recoverThenAdmit answers a connect or join to whose channel the shard is
// subscribed. If the client has missed messages of the room, it waits for them.
func (c *Client) recoverThenAdmit(r *session.Request, channel string) {
	rooms := c.Shard().hub.recovery.Load()
	ns, _ := r.Namespace.(*Namespace)
	if rooms == nil || ns == nil || ns.history == nil || r.Recovery == nil && !ns.history.greets() {
		c.admit(r, channel, nil)
		return
	}
	deferred := c.session.Defer(r)
	if deferred == nil {
		return
	}
	s := c.Shard()
	s.retain(channel)
	wish := recovery.Wish{MaxBytes: s.maxMissed(), Newest: ns.history.OnJoin, Latest: ns.history.Keys > 0}
	if r.Recovery != nil {
		wish.After, _ = cluster.ParsePosition([]byte(r.Recovery.Position))
		limit := r.Recovery.Limit
		if limit > 0 && !s.app.MayRead(c, ns, string(r.Message.Room), ReadHistory) {
			limit = 0 // it receives those that it has missed
		}
		if wish.Newest = max(wish.Newest, limit); r.Recovery.Position != "" {
			wish.Newest = limit // it has some of the newest, perhaps
		}
	}
	rooms.Recover(channel, wish, func(result recovery.Recovery) {
		s.Submit(&recoveredTask{client: c, request: deferred, channel: channel, result: result})
	})
}

// maxMissed is the size in bytes of the messages that a client may have missed:
// they have to fit into its send queue, next to others. Any goroutine may call
// it.
func (s *Shard) maxMissed() int {
	if limit := s.hub.basics.Load().Engine.SendQueue; limit > 0 {
		return limit / 2
	}
	return maxMissedUnlimited
}

// maxMissedUnlimited bounds the size for clients without a limit.
const maxMissedUnlimited = 16 << 20

// recoveredTask admits a client to a room. In the inbox it is where the
// messages that the client has missed end, and the new ones begin.
type recoveredTask struct {
	client  *Client
	request *session.Request
	channel string
	result  recovery.Recovery
}

// Run implements Task.
func (t *recoveredTask) Run(s *Shard) {
	c, missed := t.client, t.result.Messages
	if t.result.Late {
		if c.IsOpen() {
			c.session.Reject(t.request, s.joinError(context.DeadlineExceeded))
		}
		s.release(t.channel)
		c.drainBacklog()
		return
	}
	if r := t.request.Recovery; r != nil {
		if r.ExceptID != "" {
			missed = slices.DeleteFunc(missed, func(m *ring.Message) bool {
				return m.Origin == r.ExceptID || slices.Contains(m.Except, r.ExceptID)
			})
		}
		r.Answer = wire.RecoveryAnswer{
			Recovered: t.result.Recovered, Position: t.result.Head.String(), Count: len(missed),
		}
	}
	c.admit(t.request, t.channel, missed)
	s.release(t.channel)
	c.drainBacklog()
}

// sendMissed sends messages that the client has missed.
func (c *Client) sendMissed(missed []*ring.Message) {
	positions := c.hasPositions()
	for len(missed) > 0 && c.IsOpen() {
		var piece []byte
		n := 0
		for n < len(missed) && (n == 0 || len(piece)+len(missed[n].Frame) <= maxMergedFrame) {
			if positions {
				piece = appendPositioned(piece, missed[n])
			} else {
				piece = append(piece, missed[n].Frame...)
			}
			n++
		}
		c.Conn.Send(piece, n)
		c.Shard().stats.Deliveries += uint64(n)
		missed = missed[n:]
	}
}

const (
	// maxReads is how many reads of histories and members one client may wait
	// for.
	maxReads = 16
	// defaultPage and maxPage are the sizes of pages, in messages.
	defaultPage = 100
	maxPage     = 1000
	// maxAnswer is the size in bytes of a page as JSON: half of the largest
	// message that the clients read by default.
	maxAnswer = 512 << 10
)

func (c *Client) readHistory(e *session.Event, in *room) MessageResult {
	s := c.Shard()
	ns, rooms := e.Namespace.(*Namespace), s.hub.recovery.Load()
	query, err := wire.ParseHistoryQuery(e.Message.Body)
	before, beforeOK := cluster.ParsePosition([]byte(query.Before))
	after, afterOK := cluster.ParsePosition([]byte(query.After))
	switch {
	case ns.history == nil || rooms == nil:
		c.session.ReplyError(e.Message, wire.ErrUnhandled.Error())
		return MessageUnhandled
	case err != nil || !beforeOK || !afterOK:
		c.session.ReplyError(e.Message, wire.ErrInvalidPayload.Error())
		return MessageRefused
	case !c.mayRead(e):
		return MessageRefused
	}
	asked, limit, channel := e.Message.Clone(), defaultPage, in.channel
	if query.Limit > 0 {
		limit = min(query.Limit, maxPage)
	}
	selected := cluster.HistoryQuery{
		Retention: ns.history.Retention, Before: before, After: after, Limit: limit, Oldest: query.Oldest,
	}
	c.inTurn(ns, &asked, func() {
		rooms.History(channel, selected, func(page cluster.HistoryPage, err error) {
			t := &readTask{client: c, ns: ns, asked: &asked, err: err}
			if err == nil {
				t.body = encodeHistory(&page, query.Oldest, min(maxAnswer, s.maxMissed()))
			}
			s.Submit(t)
		})
	})
	return MessageHandled
}

// readTask answers a client that has read a history or a roster.
type readTask struct {
	client *Client
	ns     *Namespace
	asked  *wire.Message
	body   []byte
	err    error
}

// Run implements Task.
func (t *readTask) Run(*Shard) {
	c := t.client
	if !c.IsOpen() {
		return
	}
	switch {
	case c.session.Room(t.ns, t.asked.Room) == nil: // it has left, or was removed
		c.session.ReplyError(t.asked, wire.ErrBadRoom.Error())
		t.body = nil
	case t.err != nil:
		c.session.ReplyError(t.asked, wire.ErrUnavailable.Error())
	default:
		c.session.Reply(t.asked, t.body)
	}
	if c.IsOpen() {
		c.readEnded(len(t.body))
	}
}

// encodeHistory returns a page as JSON, without the messages that would make it
// longer than limit bytes.
func encodeHistory(page *cluster.HistoryPage, oldest bool, limit int) []byte {
	out := wire.HistoryPage{Entries: []wire.HistoryEntry{}, More: page.More, Found: page.Found}
	size := 0
	for i := range page.Entries {
		at := i
		if !oldest {
			at = len(page.Entries) - 1 - i
		}
		entry := historyEntry(&page.Entries[at])
		// A byte takes up to six in JSON, and 4/3 in base64.
		if size += 6*len(entry.Body) + 2*len(entry.Binary) + 256; size > limit && i > 0 {
			out.More = true
			break
		}
		out.Entries = append(out.Entries, entry)
	}
	if !oldest {
		slices.Reverse(out.Entries)
	}
	body, _ := json.Marshal(&out) // of strings and numbers only, so there is no error
	return body
}

func historyEntry(e *cluster.HistoryEntry) wire.HistoryEntry {
	m, _ := wire.Parse(e.Envelope.Payload, e.Envelope.Binary)
	entry := wire.HistoryEntry{
		Position: e.Envelope.Position.String(), Time: e.Time.UnixMilli(), Event: string(m.Event), User: e.Envelope.User,
	}
	if e.Envelope.Binary {
		entry.Binary = append([]byte{}, m.Body...)
	} else {
		entry.Body = string(m.Body)
	}
	return entry
}
