package hub

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/blocklist"
	"github.com/stoa-io/stoa/internal/connid"
	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/internal/rpc"
	"github.com/stoa-io/stoa/wire"
)

// UserConn describes a connection of a user. Answers to rpc.OpUserConns are
// lists of them in JSON.
type UserConn struct {
	ID         string `json:"id"`
	Node       string `json:"node"`
	Since      int64  `json:"since"` // Unix microseconds, by the clock of its node
	RemoteAddr string `json:"remote_addr"`
}

// connsPerAnswer bounds the size of an answer: brokers limit messages.
const connsPerAnswer = 500

// userTarget is a user that a request is about.
type userTarget struct {
	channel string
	code    wire.Code // with which its connections are closed; 0: they stay
	reason  string
}

// userTask carries out a request about users on all loops that have
// connections of theirs. The last loop answers.
type userTask struct {
	// Immutable.
	hub     *Hub
	request *rpc.Request
	targets []userTarget

	remaining atomic.Int32 // loops that have not finished
	closed    atomic.Int64 // connections
	mu        sync.Mutex
	conns     []UserConn // guarded by mu
}

var _ Dropper = (*userTask)(nil)

// runForUsers carries out a request on the loops.
func (h *Hub) runForUsers(r *rpc.Request, targets ...userTarget) {
	t := &userTask{hub: h, request: r, targets: targets}
	loops := uint64(1) // which can answer that there are no connections
	for i := range targets {
		loops |= h.interest.Loops(targets[i].channel)
	}
	for i := range h.shards {
		if loops&(1<<i) != 0 {
			t.remaining.Add(1)
		}
	}
	for i, s := range h.shards {
		if loops&(1<<i) != 0 && !s.Submit(t) {
			go t.Dropped(s) // it may publish the answer, and the broker may have called
		}
	}
}

// Run implements Task.
func (t *userTask) Run(s *Shard) {
	var conns []UserConn
	for i := range t.targets {
		target := &t.targets[i]
		for c := s.users[target.channel]; c != nil; {
			next := c.extra.next
			if target.code == 0 {
				conns = append(conns, UserConn{c.ID(), s.hub.config.ID, c.extra.identity.since, c.peerAddr()})
			} else {
				c.refuse(&Refusal{Text: target.reason, Code: target.code, Reason: target.reason})
				t.closed.Add(1)
			}
			c = next
		}
	}
	t.mu.Lock()
	t.conns = append(t.conns, conns...)
	t.mu.Unlock()
	t.Dropped(s)
}

// Dropped implements Dropper: a loop has finished.
func (t *userTask) Dropped(*Shard) {
	if t.remaining.Add(-1) > 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	peer := t.hub.peer
	if t.request.Op != rpc.OpUserConns {
		peer.Reply(t.request, strconv.AppendInt(nil, t.closed.Load(), 10), false, nil)
	}
	for conns := t.conns; len(conns) > 0; {
		part := conns[:min(len(conns), connsPerAnswer)]
		conns = conns[len(part):]
		encoded, _ := json.Marshal(part) // of strings and numbers only, so there is no error
		peer.Reply(t.request, encoded, false, nil)
	}
	peer.Finish(t.request)
}

// peerAddr is the address of the peer, as the application sees it.
func (c *Client) peerAddr() string {
	if c.handle != nil {
		return c.handle.remote
	}
	return c.RemoteAddr()
}

// ParseUserConns reads the answers to rpc.OpUserConns. An answer that is
// malformed is left out.
func ParseUserConns(answers []rpc.Answer) []UserConn {
	var all []UserConn
	for i := range answers {
		var part []UserConn
		if json.Unmarshal(answers[i].Body, &part) == nil {
			all = append(all, part...)
		}
	}
	return all
}

// ParseClosed reads the answers to rpc.OpCloseUser and rpc.OpBlock: how many
// connections were closed.
func ParseClosed(answers []rpc.Answer) (closed int) {
	for i := range answers {
		if n, err := strconv.Atoi(string(answers[i].Body)); err == nil {
			closed += n
		}
	}
	return closed
}

// enforceBlocks closes the connections of blocked users.
func (h *Hub) enforceBlocks(r *rpc.Request, blocked []blocklist.Entry) {
	var targets []userTarget
	for i := range blocked {
		user := blocked[i].User
		if reason, still := h.blocks.Blocked(user); still {
			targets = append(targets, userTarget{cluster.UserChannel(user), wire.CodeForbidden, reason})
		}
	}
	h.runForUsers(r, targets...)
}

// The limit of connections per user holds in the cluster without a place that
// counts them. A connection that has entered the user's channel asks there for
// the connections of the user, and evicts those beyond the limit, which may be
// itself. Of two that enter at the same time, the later question, in the order
// of the channel, finds both. All nodes sort them by time and ID, so they evict
// the same ones: a connection that is evicted has enough others before it, in
// the view of the node that evicts, and so in that of all.

const (
	// countTimeout is how long the nodes may take to list the connections of a
	// user. Then the limit is applied to those of this node.
	countTimeout = time.Second
	// recount is the pause before the next attempt.
	recount = time.Second

	// LimitText is the reason for clients beyond the limit.
	LimitText = "too many connections of this user"
)

// limitUser applies the limit of connections to the user of a connection that
// has entered, and calls admitted when the connection may be acknowledged.
func (c *Client) limitUser(admitted func()) {
	limits := c.Shard().limits()
	if limits.ConnectionsPerUser <= 0 {
		admitted()
		return
	}
	check := &userCheck{shard: c.Shard(), slot: c.Slot(), generation: c.Generation(), user: c.User()}
	if limits.RefuseNewest {
		c.Pause(engine.PauseTurn)
		check.admitted = func() {
			admitted()
			c.Resume(engine.PauseTurn)
		}
	} else {
		admitted()
	}
	check.start()
}

// IsUserFull reports whether a new connection of the user would be refused. It
// waits for the nodes that have connections of the user.
func (h *Hub) IsUserFull(ctx context.Context, user string) bool {
	limits := h.limits.Load()
	if limits.ConnectionsPerUser <= 0 || !limits.RefuseNewest {
		return false
	}
	found := make(chan []UserConn, 1)
	h.peer.Gather(cluster.UserChannel(user), &rpc.Request{Op: rpc.OpUserConns, Target: user}, countTimeout,
		func(all []rpc.Answer, _ bool) { found <- ParseUserConns(all) })
	select {
	case conns := <-found:
		return len(conns) >= limits.ConnectionsPerUser
	case <-ctx.Done():
		return false
	}
}

// userCheck applies the limit after a connection has entered.
type userCheck struct {
	// Immutable.
	shard            *Shard
	slot, generation uint32
	user             string

	admitted func() // loop-owned; nil once it was called

	// Set before it is submitted.
	conns    []UserConn
	complete bool // conns are those of all nodes
}

// start asks the nodes for the connections of the user.
func (k *userCheck) start() {
	h := k.shard.hub
	k.conns = nil
	h.peer.Gather(cluster.UserChannel(k.user), &rpc.Request{Op: rpc.OpUserConns, Target: k.user}, countTimeout,
		func(all []rpc.Answer, complete bool) {
			if !complete {
				k.shard.Post(k.startHere)
				return
			}
			k.conns, k.complete = ParseUserConns(all), true
			k.shard.Submit(k)
		})
}

// startHere lists the connections of this node: the broker is not reachable, or
// another node does not answer.
func (k *userCheck) startHere() {
	k.shard.hub.peer.GatherHere(&rpc.Request{Op: rpc.OpUserConns, Target: k.user}, countTimeout, func(all []rpc.Answer) {
		k.conns, k.complete = ParseUserConns(all), false
		k.shard.Submit(k)
	})
}

// Run implements Task: it evicts the connections beyond the limit.
func (k *userCheck) Run(s *Shard) {
	code := wire.CodeReplaced
	if s.limits().RefuseNewest {
		code = wire.CodeTryAgainLater
	}
	for _, excess := range beyondLimit(k.conns, s.limits().ConnectionsPerUser, s.limits().RefuseNewest) {
		if owner, ok := connid.NodeOf(excess.ID); ok {
			s.hub.peer.Notify(owner, &rpc.Request{Op: rpc.OpEvict, Target: excess.ID, Code: uint16(code)})
		}
	}
	c := s.lookup(k.slot, k.generation)
	if c == nil || !c.IsOpen() {
		return
	}
	if k.admitted != nil {
		// Behind the eviction of this connection, which is in the inbox if it
		// is one of them.
		admitted := k.admitted
		k.admitted = nil
		s.Post(func() {
			if c := s.lookup(k.slot, k.generation); c != nil && c.IsOpen() {
				admitted()
			}
		})
	}
	if !k.complete {
		time.AfterFunc(recount, func() { s.Submit((*recountTask)(k)) })
	}
}

// recountTask checks again while the connection exists.
type recountTask userCheck

// Run implements Task.
func (t *recountTask) Run(s *Shard) {
	if c := s.lookup(t.slot, t.generation); c != nil && c.IsOpen() {
		(*userCheck)(t).start()
	}
}

// beyondLimit returns the connections that must be closed: the oldest ones, or
// the newest ones. It sorts conns.
func beyondLimit(conns []UserConn, limit int, newest bool) []UserConn {
	slices.SortFunc(conns, func(a, b UserConn) int {
		return cmp.Or(cmp.Compare(a.Since, b.Since), cmp.Compare(a.ID, b.ID))
	})
	conns = slices.CompactFunc(conns, func(a, b UserConn) bool { return a.ID == b.ID })
	excess := len(conns) - limit
	switch {
	case excess <= 0:
		return nil
	case newest:
		return conns[limit:]
	}
	return conns[:excess]
}

// evict closes the connection, or refuses its client.
func (c *Client) evict(code wire.Code) {
	c.Shard().hub.CountUserRefusal(UserLimit)
	c.refuse(&Refusal{Text: LimitText, Code: code, Reason: LimitText})
}

// refuseBlocked refuses the client if its user is blocked.
func (c *Client) refuseBlocked() bool {
	reason, blocked := c.Shard().hub.blocks.Blocked(c.User())
	if blocked {
		c.refuseUser(UserBlocked, reason)
	}
	return blocked
}
