package redisbroker

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stoa-io/stoa/cluster"
)

// The entries of a node on every server of its cluster, under the cluster's
// prefix:
//
//	<cluster>:nodes       a set of node IDs; expires after the last node has left
//	<cluster>:node:<ID>   a peerNode as JSON; expires after the node's lease
//
// Nodes announce themselves on the cluster channel. The keys are for nodes that
// start later and for operators.
const (
	nodesKey   = "nodes"
	nodeKey    = "node:"
	setInLease = 2 // leases until the set expires
)

// The types of messages between brokers, which are the first byte of a payload.
const (
	internalAnnounce = 'a' // a peerNode as JSON follows
	internalLeave    = 'l' // the same
	internalProbe    = 'p' // for the node itself; probeBytes follow
	internalCall     = 'c' // a token of 8 bytes follows; each node answers
	internalPresent  = 'h' // the token of a call follows

	internalRehearsal = 'r' // for no node
	internalUnkept    = 'u' // a message could not be stored in its history
)

// peerNode is the entry of a node.
type peerNode struct {
	cluster.NodeInfo
	Incarnation uint64 `json:"incarnation,string"`
	// Answers is true if the node answers calls (peerCall).
	Answers bool `json:"answers,omitempty"`
	// Born is when the process started, by its own clock, in Unix microseconds;
	// 0 for a node of an earlier version.
	Born int64 `json:"born,omitempty"`
}

// replaces returns true if m takes the place of another process with its ID.
// All nodes decide in the same way, in any order of arrival.
func (m *peerNode) replaces(other *peerNode) bool {
	if m.Born == 0 || other.Born == 0 {
		return true
	}
	return cmp.Or(cmp.Compare(m.Born, other.Born), cmp.Compare(m.Incarnation, other.Incarnation)) > 0
}

// registry holds the nodes that one server's connections have reported. Safe
// for concurrent use.
type registry struct {
	self   peerNode
	looked time.Duration // Broker.now of the last expireNodes; owned by the keeper

	mu    sync.Mutex // guards the rest
	nodes map[string]registryEntry
	older map[uint64]registryEntry // processes whose ID a newer one has, by incarnation
}

type registryEntry struct {
	node peerNode
	seen time.Duration // Broker.now
}

func (r *registry) init(self peerNode) {
	r.self = self
	r.nodes, r.older = make(map[string]registryEntry), make(map[uint64]registryEntry)
}

// see records a sign of life. It returns the previous process if the node has
// taken over an ID, and the newer one if the node's ID is taken.
func (r *registry) see(m peerNode, now time.Duration) (gone []peerNode, newer *peerNode) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := registryEntry{node: m, seen: now}
	before, found := r.nodes[m.ID]
	switch {
	case !found || before.node.Incarnation == m.Incarnation:
	case m.replaces(&before.node):
		gone = append(gone, before.node)
	default:
		r.older[m.Incarnation] = e
		return nil, &before.node
	}
	delete(r.older, m.Incarnation)
	r.nodes[m.ID] = e
	return gone, nil
}

// successor returns the newer process that has this node's ID, or nil.
func (r *registry) successor() *peerNode {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, found := r.nodes[r.self.ID]; found && e.node.Incarnation != r.self.Incarnation {
		return &e.node
	}
	return nil
}

// hasOlder returns true while processes with a taken ID are alive.
func (r *registry) hasOlder() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.older) > 0
}

// leave forgets a node that has announced its end and returns it. A node that
// is unknown, or has come back in the meantime, is ignored.
func (r *registry) leave(m peerNode) (gone []peerNode) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.older, m.Incarnation)
	if before, found := r.nodes[m.ID]; found && before.node.Incarnation == m.Incarnation {
		delete(r.nodes, m.ID)
		gone = append(gone, before.node)
	}
	return gone
}

// expire forgets the nodes that were last seen before oldest and returns them.
func (r *registry) expire(oldest time.Duration) (gone []peerNode) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, e := range r.nodes {
		if e.seen < oldest && e.node.Incarnation != r.self.Incarnation {
			delete(r.nodes, id)
			gone = append(gone, e.node)
		}
	}
	for incarnation, e := range r.older {
		if e.seen < oldest {
			delete(r.older, incarnation)
		}
	}
	return gone
}

// knows returns false for a node of the same ID that has been restarted.
func (r *registry) knows(m peerNode) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, found := r.nodes[m.ID]
	return found && e.node.Incarnation == m.Incarnation
}

// renew gives every node a new lease: while the server was unreachable, no node
// could send a sign of life.
func (r *registry) renew(now time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, e := range r.nodes {
		e.seen = now
		r.nodes[id] = e
	}
	for incarnation, e := range r.older {
		e.seen = now
		r.older[incarnation] = e
	}
}

// count returns the number of processes in the cluster, this one included.
func (r *registry) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	count := len(r.nodes) + len(r.older)
	_, old := r.older[r.self.Incarnation]
	if e := r.nodes[r.self.ID]; !old && e.node.Incarnation != r.self.Incarnation {
		count++
	}
	return count
}

// processes returns all nodes, those with a taken ID included.
func (r *registry) processes() []peerNode {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]peerNode, 0, len(r.nodes)+len(r.older))
	for _, e := range r.nodes {
		all = append(all, e.node)
	}
	for _, e := range r.older {
		all = append(all, e.node)
	}
	return all
}

func (r *registry) collect(into map[string]registryEntry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, e := range r.nodes {
		if e.seen >= into[id].seen {
			into[id] = e
		}
	}
}

// self returns this node's entry.
func (b *Broker) self() peerNode {
	info := b.config.Info()
	info.ID = b.config.NodeID
	return peerNode{NodeInfo: info, Incarnation: b.incarnation, Answers: true, Born: b.born}
}

// announceNode notifies the other nodes and renews the lease on the server. It
// runs on the publisher's connection. The nodes know each other by the
// announcements: a server that refuses the entry costs only those that read it.
func (s *server) announceNode(ctx context.Context, conn *redis.Conn) error {
	self := s.broker.self()
	value, err := json.Marshal(self)
	if err != nil {
		return err
	}
	s.see(self)
	registers := s.registry.successor() == nil // else the entry is that of the newer process
	published, err := s.publishNode(ctx, conn, self.ID, value, registers)
	if published != nil {
		return published
	}
	if err = explain(err); err != nil && (!isReply(err) || errors.Is(err, errNotMaster) || errors.Is(err, errClusterMode)) {
		return err
	} else if registers {
		s.registration.set(ctx, err)
	}
	return nil
}

// publishNode publishes the announcement, writes the node's entry, and reads
// those of unknown nodes, in one round trip. It uses no transaction, so that an
// error is that of a command.
func (s *server) publishNode(ctx context.Context, conn *redis.Conn, id string, value []byte, registers bool) (
	published, registered error,
) {
	lease := s.config().Lease
	var announced *redis.IntCmd
	listed := &redis.StringSliceCmd{}
	commands, err := conn.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		announced = pipe.Publish(ctx, s.prefix+clusterChannel, s.encodeInternal(internalAnnounce, value))
		if registers {
			pipe.Set(ctx, s.prefix+nodeKey+id, value, lease)
			pipe.SAdd(ctx, s.prefix+nodesKey, id)
			pipe.PExpire(ctx, s.prefix+nodesKey, setInLease*lease)
			listed = pipe.SMembers(ctx, s.prefix+nodesKey)
		}
		return nil
	})
	if err != nil && !isReply(err) {
		return err, nil
	}
	for _, command := range commands[1:] {
		registered = cmp.Or(registered, command.Err())
	}
	return announced.Err(), cmp.Or(registered, s.learn(ctx, conn, listed.Val()))
}

// learn reads the entries of unknown nodes. It removes IDs without an entry
// from the set: those nodes have died.
func (s *server) learn(ctx context.Context, conn *redis.Conn, ids []string) error {
	known := make(map[string]registryEntry)
	s.registry.collect(known)
	ids = slices.DeleteFunc(ids, func(id string) bool {
		_, found := known[id]
		return found
	})
	nodes, dead, err := readNodes(ctx, conn, s.prefix, ids)
	if err != nil {
		return err
	}
	for _, m := range nodes {
		s.see(m)
	}
	if len(dead) == 0 {
		return nil
	}
	return conn.SRem(ctx, s.prefix+nodesKey, dead...).Err()
}

// encodeInternal encodes a message to brokers, which has no number.
func (s *server) encodeInternal(what byte, value []byte) []byte {
	from := header{node: s.config().NodeID, incarnation: s.broker.incarnation, internal: true}
	return appendEnvelope(nil, &from, &cluster.Envelope{Binary: true, Payload: append([]byte{what}, value...)})
}

// internal handles a message from another broker. It ignores unknown types,
// which later versions may send.
func (s *server) internal(from *header, payload []byte) {
	if len(payload) == 0 {
		return
	}
	switch rest := payload[1:]; payload[0] {
	case internalProbe:
		if from.incarnation == s.incarnation {
			s.trips.back(s.now())
		}
	case internalUnkept:
		s.histories.notice(s.now())
	case internalCall:
		if len(rest) == 8 {
			s.called(from, binary.BigEndian.Uint64(rest))
		}
	case internalPresent:
		if len(rest) == 8 {
			s.peers.answer(binary.BigEndian.Uint64(rest), from.incarnation)
		}
	case internalAnnounce, internalLeave:
		var m peerNode
		if err := json.Unmarshal(rest, &m); err != nil || !plainName(m.ID) {
			s.stats.malformed.Add(1)
			return
		}
		if payload[0] == internalLeave {
			s.broker.gone(s.registry.leave(m))
		} else {
			s.see(m)
		}
	}
}

// see handles a sign of life.
func (s *server) see(m peerNode) {
	gone, newer := s.registry.see(m, s.now())
	s.broker.gone(gone)
	if newer != nil {
		s.duplicates.set(context.Background(), fmt.Errorf("%q: the process at %q is newer than the one at %q",
			m.ID, newer.Address, m.Address))
	}
}

// expireNodes forgets the nodes that have died. It cannot know them while the
// server is unreachable, nor after this process was stopped itself: then the
// announcements of the other nodes are still unread.
func (s *server) expireNodes() {
	now, lease := s.now(), s.config().Lease
	stopped := now-s.registry.looked > lease/2
	s.registry.looked = now
	if stopped || !s.up() {
		s.registry.renew(now)
		return
	}
	gone := s.registry.expire(now - lease)
	if !s.registry.hasOlder() {
		s.duplicates.set(context.Background(), nil)
	}
	if len(gone) > 0 {
		s.broker.gone(gone)
		s.announceSoon()
	}
}

// gone notifies the handler of nodes that a server has forgotten, unless
// another server still knows them. Nodes returns the nodes that are known.
func (b *Broker) gone(nodes []peerNode) {
	for _, m := range nodes {
		known := slices.ContainsFunc(b.servers, func(s *server) bool { return s.registry.knows(m) })
		if handler, wants := b.handler.(cluster.MembershipHandler); wants && !known && m.ID != b.config.NodeID {
			handler.NodeGone(m.ID)
		}
	}
}
