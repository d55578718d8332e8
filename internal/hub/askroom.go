package hub

import (
	"errors"
	"math/bits"
	"slices"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/connid"
	"github.com/stoa-io/stoa/internal/rpc"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// askRoom asks the members of a room on all loops of this node.
func (h *Hub) askRoom(call *rpc.RoomCall) {
	ask := &memberAsk{call: call, opened: make([][]openedAsk, len(h.shards)), loops: h.interest.Loops(call.Channel)}
	ask.except, _ = connid.Parse(h.config.ID, call.Except)
	if ask.loops == 0 {
		ask.loops = 1 // which finds no member, and finishes
	}
	m := &call.Message
	ask.rest = wire.Append(nil, &wire.Message{Namespace: m.Namespace, Room: m.Room, Event: m.Event, Body: m.Body})
	call.Local = ask
	call.Add(bits.OnesCount64(ask.loops))
	h.submitTo(ask.loops, ask)
}

// memberAsk asks the members of a room on one loop. It is the responder of
// every member, on all loops.
type memberAsk struct {
	// Immutable.
	call   *rpc.RoomCall
	except connid.Ref
	loops  uint64 // that have members
	rest   []byte // of the message, which follows each member's token

	opened [][]openedAsk // by loop, each touched by its loop only
}

// openedAsk is the ask to one member.
type openedAsk struct {
	slot, generation uint32
	id               uint64 // of the session
}

// Run implements Task.
func (a *memberAsk) Run(s *Shard) {
	defer a.call.Done()
	for _, c := range s.membersToAsk(a.call) {
		if !c.IsOpen() || c.is(a.except) {
			continue
		}
		if !c.mayAsk() {
			s.stats.AsksSkipped++
			a.call.Skipped()
			continue
		}
		a.call.Add(1)
		s.budget -= askCost
		if id := c.ask(a, a.call.Timeout, func() (uint64, error) { return c.askShared(a) }); id != 0 {
			loop := s.loop.Number()
			a.opened[loop] = append(a.opened[loop], openedAsk{c.Slot(), c.Generation(), id})
		}
	}
	// The ask is a message for all members, even if one on another loop has
	// been faster than this loop.
	if a.call.IsAnswered() {
		(*endMemberAsk)(a).Run(s)
	}
}

// membersToAsk are the members of a room on this loop, or the connections of a
// user in the namespace. The slice is a copy: a member that is closed as too
// slow leaves at once.
func (s *Shard) membersToAsk(call *rpc.RoomCall) (members []*Client) {
	if to := s.channels[call.Channel].members; to != nil {
		return slices.Clone(to.Members())
	}
	for c := s.users[call.Channel]; c != nil; c = c.extra.next {
		if c.session.Namespace(call.Message.Namespace) != nil {
			members = append(members, c)
		}
	}
	return members
}

// endRoom ends the asks to the members that have not answered.
func (h *Hub) endRoom(call *rpc.RoomCall) {
	ask := call.Local.(*memberAsk)
	h.submitTo(ask.loops, (*endMemberAsk)(ask))
}

// endMemberAsk ends the asks of a memberAsk on one loop.
type endMemberAsk memberAsk

// Run implements Task.
func (a *endMemberAsk) Run(s *Shard) {
	opened := a.opened[s.loop.Number()]
	a.opened[s.loop.Number()] = nil
	s.budget -= len(opened)
	for _, o := range opened {
		if c := s.lookup(o.slot, o.generation); c != nil {
			c.session.Cancel(o.id, errEnded)
		}
	}
}

// errEnded ends an ask of which no answer is wanted any more. It reaches no
// client.
var errEnded = errors.New("hub: ask ended")

// respond implements responder.
func (a *memberAsk) respond(c *Client, answer *session.Answer) {
	defer a.call.Done()
	switch m := answer.Message; {
	case m != nil:
		a.call.Answer(c.ID(), m.Body, m.Binary, answer.Err)
	case answer.Err == wire.ErrTimeout:
		a.call.TimedOut()
	}
}

// RelayedAsk is an ask of a client to the other members of a room.
type RelayedAsk struct {
	shard            *Shard
	slot, generation uint32
	id               uint64       // of the call
	message          wire.Message // owned
	answer           rpc.Answer
	err              error
}

// Message returns the ask as received. It is valid for the ask's life.
func (a *RelayedAsk) Message() *wire.Message { return &a.message }

// Forward asks the other members, from a task of the asking connection; it may
// wait as Handle.Publish does. It is called once, or Refuse is.
func (a *RelayedAsk) Forward(m *rpc.RoomMessage, by *Handle) {
	a.forward(m, by.ID(), by.charge(len(m.Payload)))
}

// forward asks the other members, with a marker if it is not nil. except is the
// ID of the asking connection.
func (a *RelayedAsk) forward(m *rpc.RoomMessage, except string, follows *marker) {
	h, published := a.shard.hub, (func(int, error))(nil)
	if follows != nil {
		follows.begin(cluster.RoomChannel(m.Namespace, m.Room))
		published = follows.done
	}
	h.peer.Forward(a.id, m, except, h.askTimeout(), published)
}

// Refuse answers the client with an error instead.
func (a *RelayedAsk) Refuse(err error) { a.shard.hub.peer.Cancel(a.id, err) }

// relayAsk passes a client's ask on to the other members of its room; the first
// answer returns to the client.
func (c *Client) relayAsk(e *session.Event) MessageResult {
	asked := c.OpenRelayedAsk(e)
	if asked == nil {
		return MessageRefused
	}
	m := e.Message
	asked.forward(&rpc.RoomMessage{
		Namespace: string(m.Namespace), Room: string(m.Room), Binary: m.Binary,
		Payload: wire.Append(nil, &wire.Message{Namespace: m.Namespace, Room: m.Room, Event: m.Event, Body: m.Body}),
	}, c.ID(), c.charge(len(e.Payload)))
	return MessageRelayed
}

// OpenRelayedAsk registers an ask of the client to others. It returns nil when
// the client has too many, and answers so.
func (c *Client) OpenRelayedAsk(e *session.Event) *RelayedAsk {
	s := c.Shard()
	asks := c.needAsks()
	if limit := s.limits().Asks; limit > 0 && len(asks.relayed) >= limit {
		s.stats.LimitsExceeded[LimitAsks]++
		c.session.ReplyError(e.Message, wire.ErrTooManyAsks.Error())
		return nil
	}
	c.Feed(e.Room.(*room).partition)
	asked := &RelayedAsk{shard: s, slot: c.Slot(), generation: c.Generation(), message: e.Message.Clone()}
	asked.id = s.hub.peer.Open(func(answer rpc.Answer, err error) {
		asked.answer, asked.err = answer, err
		s.Submit((*relayedAnswer)(asked))
	})
	asks.relayed = append(asks.relayed, relayedAsk{asked.id, s.loop.Now() + s.hub.askTimeout()})
	return asked
}

// askTimeout is how long a client's ask to others may take, in milliseconds.
func (h *Hub) askTimeout() uint32 { return uint32(h.config.AskTimeout.Milliseconds()) }

// relayedAnswer returns the answer to the client that asked.
type relayedAnswer RelayedAsk

// Run implements Task.
func (a *relayedAnswer) Run(s *Shard) {
	c := s.lookup(a.slot, a.generation)
	if c == nil {
		return
	}
	if asks := c.openAsks(); asks != nil {
		asks.relayed = slices.DeleteFunc(asks.relayed, func(r relayedAsk) bool { return r.id == a.id })
		c.tidyAsks()
	}
	if !c.IsOpen() {
		return
	}
	if a.err != nil {
		if errors.Is(a.err, wire.ErrTimeout) {
			s.stats.LimitsExceeded[LimitAskTime]++
		}
		c.session.ReplyError(&a.message, rpc.ErrorText(a.err))
		return
	}
	a.message.Binary = a.answer.Binary
	c.session.Reply(&a.message, a.answer.Body)
}
