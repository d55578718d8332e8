package rpc

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/wire"
)

// RoomMessage is a wire message to the members of a room, or to the connections
// of a user.
type RoomMessage struct {
	Namespace, Room string
	User            string // if not empty, to the user's connections in the namespace
	Payload         []byte
	Binary          bool
}

// channel is where the members receive it.
func (m *RoomMessage) channel() string {
	if m.User != "" {
		return cluster.UserChannel(m.User)
	}
	return cluster.RoomChannel(m.Namespace, m.Room)
}

// AskRoom asks all members of a room, or all connections of a user, on every
// node, and returns the first answer; one that only says that the event is not
// handled does not count.
func (p *Peer) AskRoom(ctx context.Context, m *RoomMessage) (Answer, error) {
	all, err := p.wait(ctx, false, func(c *call) uint64 {
		id := p.pending.add(c)
		p.Forward(id, m, "", p.timeout(ctx), nil)
		return id
	})
	return first(all, err)
}

// AskAll asks all members of a room, on every node, and returns the answers
// that arrive before ctx ends or the configured timeout has passed. Each known
// node is asked on its own, so the request may overtake messages that are being
// emitted into the room.
func (p *Peer) AskAll(ctx context.Context, m *RoomMessage) (Answers, error) {
	ctx, cancel := context.WithTimeout(ctx, p.config.Timeout)
	defer cancel()
	return p.askNodes(ctx, &Request{Op: OpAskRoom, All: true, Binary: m.Binary, Payload: m.Payload})
}

// askNodes sends a request to every known node, this one included, and returns
// the answers that arrive before ctx ends. It sets the request's ID, From and
// Timeout.
func (p *Peer) askNodes(ctx context.Context, r *Request) (Answers, error) {
	nodes := p.knownNodes()
	all, err := p.wait(ctx, true, func(c *call) uint64 {
		c.perNode, c.waitingFor = true, slices.Clone(nodes)
		id := p.pending.add(c)
		r.ID, r.From, r.Timeout = id, p.config.ID, p.timeout(ctx)
		for _, node := range nodes {
			p.send(node, r, func(error) { p.onNodeLost(id, node) })
		}
		return id
	})
	for _, node := range nodes {
		if !slices.Contains(all.done, node) {
			all.Missing = append(all.Missing, node)
		}
	}
	return all, err
}

// Open registers a call whose request is sent later, with Forward. finish is
// called once, on any goroutine, and must not block.
func (p *Peer) Open(finish func(Answer, error)) (id uint64) {
	return p.pending.add(&call{finish: func(all Answers, err error) { finish(first(all, err)) }})
}

// Cancel ends a call with an error, if it has not ended.
func (p *Peer) Cancel(id uint64, err error) {
	if c := p.pending.take(id); c != nil {
		c.finish(Answers{}, err)
	}
}

// Abandon drops a call without finishing it: no answer is wanted any more.
func (p *Peer) Abandon(id uint64) {
	if c := p.pending.take(id); c != nil && c.haveCount {
		p.endRoom(id, c.channel)
	}
}

// Forward publishes the request of a call in the room's channel: it reaches the
// nodes that have members, behind everything that was published there before.
// except is the ID of a connection that is not asked; timeout is in
// milliseconds. If published is not nil, it is called as that of
// [cluster.CountingPublisher].
func (p *Peer) Forward(id uint64, m *RoomMessage, except string, timeout uint32, published func(nodes int, err error)) {
	r := &Request{
		Op: OpAskRoom, ID: id, From: p.config.ID, Target: except,
		Timeout: timeout, Binary: m.Binary, Payload: m.Payload,
	}
	if m.User != "" {
		r.Op, r.Target = OpAskUser, m.User
	}
	channel := m.channel()
	p.publish(channel, r, func(nodes int, err error) {
		if published != nil {
			published(nodes, err)
		}
		if err != nil {
			p.Cancel(id, wire.ErrUnavailable)
			return
		}
		if !p.update(id, func(c *call) (bool, error) {
			c.expected, c.haveCount, c.channel = nodes, true, channel
			return c.complete()
		}) && nodes > 1 {
			p.endRoom(id, channel) // it was answered before the count was known
		}
	})
}

// endRoom tells the nodes that serve a room call that no more answers are
// wanted, so that their members' asks do not wait for the timeout. A lost
// message costs only that.
func (p *Peer) endRoom(id uint64, channel string) {
	if channel == "" {
		return
	}
	r := &Request{Op: OpEnd, ID: id, From: p.config.ID}
	p.config.Local.Defer(func() { p.publish(channel, r, func(int, error) {}) })
}

// endRoomHere ends a room call of another node, or of this one.
func (p *Peer) endRoomHere(r *Request) {
	if c := p.rooms.get(r); c != nil && !c.answered.Swap(true) {
		p.config.Local.EndRoom(c)
	}
}

// RoomCall is a request to a room on one of the nodes that have members. All
// methods are safe for concurrent use.
type RoomCall struct {
	// Immutable.
	Message wire.Message
	Channel string // of the room or user
	Except  string // the ID of a connection that is not asked
	Timeout uint32 // milliseconds
	peer    *Peer
	request *Request
	// Local is the state of Local for this call; set in Local.AskRoom.
	Local any

	remaining atomic.Int32 // loops and members that have not finished
	answered  atomic.Bool  // a good answer went out, and no more are wanted
	result    atomic.Int32 // why there is no answer, a result
}

// askRoomHere asks the members on this node.
func (p *Peer) askRoomHere(r *Request) {
	m, err := wire.Parse(r.Payload, r.Binary)
	if err != nil {
		p.badRequests.Add(1)
		return
	}
	c := &RoomCall{
		Message: m, Channel: cluster.RoomChannel(string(m.Namespace), string(m.Room)),
		Except: r.Target, Timeout: r.Timeout, peer: p, request: r,
	}
	if r.Op == OpAskUser {
		c.Channel, c.Except = cluster.UserChannel(r.Target), ""
	}
	if !r.All {
		p.rooms.begin(r, c)
	}
	p.config.Local.AskRoom(c)
}

// Add announces that Done will be called n times more.
func (c *RoomCall) Add(n int) { c.remaining.Add(int32(n)) }

// IsAnswered reports whether no more answers are wanted.
func (c *RoomCall) IsAnswered() bool { return c.answered.Load() }

// Answer sends a member's answer to the asking node. An error of the client is
// an answer, too, unless it only says that there is no handler and one answer
// is wanted.
func (c *RoomCall) Answer(connID string, body []byte, binary bool, err error) {
	all := c.request.All
	switch {
	case err == wire.ErrUnhandled && !all:
		c.note(resultUnhandled)
		return
	case !all && c.answered.Swap(true):
		c.peer.lateAnswers.Add(1)
		return
	}
	answer := &Request{Op: OpAnswer, ID: c.request.ID, From: c.peer.config.ID, Target: connID}
	if err != nil {
		answer.Err = ErrorText(err)
	} else {
		answer.Payload, answer.Binary = append([]byte(nil), body...), binary
	}
	c.peer.post(c.request.From, answer)
	if !all {
		c.peer.config.Local.EndRoom(c)
	}
}

// TimedOut notes that a member has not answered in time.
func (c *RoomCall) TimedOut() { c.note(resultTimeout) }

// Skipped notes that a member cannot be asked now.
func (c *RoomCall) Skipped() { c.note(resultUnavailable) }

func (c *RoomCall) note(r result) {
	for {
		before := c.result.Load()
		if int32(r) <= before || c.result.CompareAndSwap(before, int32(r)) {
			return
		}
	}
}

// Done notes that a loop or a member has finished. The last one tells the
// asking node that no more answers follow.
func (c *RoomCall) Done() {
	if c.remaining.Add(-1) > 0 {
		return
	}
	done := &Request{Op: OpDone, ID: c.request.ID, From: c.peer.config.ID}
	if r := result(c.result.Load()); r != resultNobody {
		done.Err = r.err().Error()
	}
	c.peer.post(c.request.From, done)
	if !c.request.All {
		// Last, so that no probe finds this node idle before it has sent
		// OpDone.
		c.peer.rooms.end(c.request)
	}
}

// activeRoomCalls are the room calls of other nodes that this node serves. Safe
// for concurrent use.
type activeRoomCalls struct {
	mu    sync.Mutex
	calls map[roomCallKey]*RoomCall // guarded by mu
}

// roomCallKey is a call of a node.
type roomCallKey struct {
	from string
	id   uint64
}

func (a *activeRoomCalls) begin(r *Request, c *RoomCall) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.calls == nil {
		a.calls = make(map[roomCallKey]*RoomCall)
	}
	a.calls[roomCallKey{r.From, r.ID}] = c
}

func (a *activeRoomCalls) end(r *Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.calls, roomCallKey{r.From, r.ID})
}

// get returns the call of a request, nil if it is not served any more.
func (a *activeRoomCalls) get(r *Request) *RoomCall {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.calls[roomCallKey{r.From, r.ID}]
}
