package blocklist

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/rpc"
)

// Shared is the list of one node of a cluster. A block is sent to every known
// node. A node that missed it, because it was cut off or started later, learns
// it in one of two ways: a node asks the others for their blocks before it
// accepts clients, and while there are blocks, one of the nodes that agree
// announces a digest of them about every digestInterval; a node whose own
// digest differs asks the sender for its blocks. Nodes without blocks send
// nothing. All methods are safe for concurrent use.
type Shared struct {
	config Config // immutable
	list   List

	comparing atomic.Bool // a digest is being compared

	mu      sync.Mutex
	timer   *time.Timer // guarded by mu; nil while there are no blocks
	agreed  bool        // guarded by mu; another node has announced the same digest since the last tick
	stopped bool        // guarded by mu
}

// Config is the configuration of a Shared. All fields are required.
type Config struct {
	// ID is the node's ID.
	ID   string
	Peer *rpc.Peer
	// Enforce closes the connections of users that are blocked, and answers the
	// request. It neither blocks nor calls the broker.
	Enforce func(r *rpc.Request, blocked []Entry)
}

// NewShared returns a list without entries.
func NewShared(config Config) *Shared { return &Shared{config: config} }

const (
	digestInterval = 500 * time.Millisecond
	// blocksPerMessage bounds the size of a message: brokers limit it.
	blocksPerMessage = 500
	// learnTimeout is how long a node that starts waits for the blocks of the
	// others.
	learnTimeout = time.Second
)

// Blocked reports whether a user is blocked, and why. It does not allocate.
func (b *Shared) Blocked(user string) (reason string, blocked bool) {
	return b.list.Blocked(user, time.Now())
}

// Users is how many users are blocked.
func (b *Shared) Users() int { return b.list.Users(time.Now()) }

// Block blocks a user on every node, from now on for a duration. The answers
// are those of the nodes.
func (b *Shared) Block(ctx context.Context, user, reason string, d time.Duration) (rpc.Answers, error) {
	e, err := b.list.Block(user, reason, d, time.Now())
	if err != nil {
		return rpc.Answers{}, err
	}
	return b.spread(ctx, e)
}

// Unblock ends the block of a user on every node.
func (b *Shared) Unblock(ctx context.Context, user string) (rpc.Answers, error) {
	return b.spread(ctx, b.list.Lift(user, time.Now()))
}

// spread sends an entry of this node to every known node.
func (b *Shared) spread(ctx context.Context, e Entry) (rpc.Answers, error) {
	b.changed()
	return b.config.Peer.AskNodes(ctx, &rpc.Request{Op: rpc.OpBlock, Payload: encode([]Entry{e})})
}

func encode(entries []Entry) []byte {
	encoded, _ := json.Marshal(entries) // of strings and numbers only, so there is no error
	return encoded
}

// Learn asks the other nodes for their blocks and waits for the answers for a
// moment. The broker must be subscribed to the channels of the node and of the
// cluster.
func (b *Shared) Learn() {
	learned := make(chan struct{})
	b.config.Peer.Gather(cluster.ClusterChannel(), &rpc.Request{Op: rpc.OpBlocks}, learnTimeout,
		func([]rpc.Answer, bool) { close(learned) })
	<-learned
}

// Execute carries out a request of another node, or of this one. The broker may
// call it.
func (b *Shared) Execute(r *rpc.Request) {
	switch r.Op {
	case rpc.OpBlock:
		b.merge(r)
	case rpc.OpBlocks:
		go b.send(r) // a node that starts waits for it, and the loops may not run yet
	case rpc.OpDigest:
		if len(r.Payload) == 8 && r.From != b.config.ID && !b.comparing.Swap(true) {
			go b.compare(r)
		}
	}
}

// merge takes entries of another node.
func (b *Shared) merge(r *rpc.Request) {
	var entries []Entry
	if json.Unmarshal(r.Payload, &entries) != nil {
		entries = nil // it is answered all the same
	}
	blocked := b.list.Merge(entries, time.Now())
	b.changed()
	if r.ID != 0 {
		blocked = entries // this node may know the block and have connections in spite of it
	}
	b.config.Enforce(r, blocked)
}

// send sends all entries to the node that asks for them.
func (b *Shared) send(r *rpc.Request) {
	if r.From != b.config.ID {
		for entries := b.list.Entries(time.Now()); len(entries) > 0; {
			part := entries[:min(len(entries), blocksPerMessage)]
			entries = entries[len(part):]
			b.config.Peer.Notify(r.From, &rpc.Request{Op: rpc.OpBlock, Payload: encode(part)})
		}
	}
	b.config.Peer.Finish(r)
}

// compare asks the sender of a digest for its blocks if they differ.
func (b *Shared) compare(r *rpc.Request) {
	defer b.comparing.Store(false)
	if b.list.Digest(time.Now()) != binary.BigEndian.Uint64(r.Payload) {
		b.config.Peer.Notify(r.From, &rpc.Request{Op: rpc.OpBlocks})
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.agreed = true
}

// changed starts the announcements.
func (b *Shared) changed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.timer == nil {
		b.schedule()
	}
}

// schedule is called with mu held. The jitter chooses the node that announces.
func (b *Shared) schedule() {
	if b.stopped {
		return
	}
	b.timer = time.AfterFunc(digestInterval/2+rand.N(digestInterval), b.tick)
}

// tick announces the digest, unless another node has announced the same one.
func (b *Shared) tick() {
	now := time.Now()
	left := b.list.Prune(now)
	b.mu.Lock()
	agreed := b.agreed
	b.agreed, b.timer = false, nil
	if left > 0 {
		b.schedule()
	}
	b.mu.Unlock()
	if left > 0 && !agreed {
		b.config.Peer.NotifyAll(&rpc.Request{Op: rpc.OpDigest, Payload: binary.BigEndian.AppendUint64(nil, b.list.Digest(now))})
	}
}

// Stop ends the announcements.
func (b *Shared) Stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
	if b.timer != nil {
		b.timer.Stop()
	}
}
