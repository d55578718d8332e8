package node

import (
	"net"
	"sync"

	"github.com/gobwas/ws"
)

// itemKind is what an inbox item asks of its loop.
type itemKind uint8

const (
	itemDeliver       itemKind = iota + 1 // a frame for the members of a channel
	itemConfirmed                         // the broker has answered a subscription
	itemReadable                          // a stream's reader has read something
	itemWritable                          // a stream's writer has ended
	itemStream                            // a connection of package net, handshake to come
	itemUpgraded                          // a connection of package net after its handshake
	itemStats                             // a snapshot of the counters
	itemResume                            // a partition is no longer congested
	itemCommand                           // of the program or another node, about a connection
	itemAskRoom                           // a question to the members of a channel
	itemRelayedAnswer                     // the answer to a client's ask
	itemEmit                              // a frame of the program for a connection
	itemReply                             // the program's answer to an ask of a connection
	itemDecided                           // the program's decision about a request of a connection
	itemWorked                            // a connection's handlers are idle or have room again
	itemAccept                            // the program's decision about a WebSocket to be opened
	itemList                              // the program wants to see the connections
	itemNodeGone                          // a node has left the cluster
	itemDrain                             // close everything, at a pace
	itemStop                              // close everything at once and end
)

// item is one entry of an inbox. Which fields are set depends on kind.
type item struct {
	kind       itemKind
	place      place  // itemReadable, itemWritable: the connection; itemDeliver: who must not get it
	generation uint32 // of the connection at place
	secret     secret // of the connection at place
	channel    string
	frame      []byte // immutable, shared by every queue it enters
	*errand           // nil where it has nothing to say
}

// errand is what only few items carry.
type errand struct {
	except    []exception // itemDeliver: more who must not get it
	err       error       // itemConfirmed, itemWritable
	wait      *acquisition
	conn      net.Conn
	head      []byte // bytes already read from conn
	stats     chan<- LoopStats
	perSecond int
	command   *command
	roomAsk   *roomAsk
	clientAsk *clientAsk
	emission  *emission
	decision  *decision
	accept    *Accept
	listing   *listing
	gone      string // itemNodeGone: the node's ID
}

// failure is the error of an item that may have none.
func (it *item) failure() error {
	if it.errand == nil {
		return nil
	}
	return it.err
}

// excepted are the connections that must not get an item beside its sender.
func (it *item) excepted() []exception {
	if it.errand == nil {
		return nil
	}
	return it.except
}

// exception is a connection that must not get a message.
type exception struct {
	place  place
	secret secret
}

// itemOverhead is what an item costs beside its frame, in bytes.
const itemOverhead = 88

// inbox is how everything outside a loop reaches it: one ordered queue. Posting
// never blocks. A delivery that finds the inbox over its limit is queued all the
// same, but congests the node, and nothing is read from publishing connections
// until it has drained: the excess is bounded by what is being published at that
// moment.
type inbox struct {
	mu        sync.Mutex
	items     []item // guarded by mu
	bytes     int    // guarded by mu; deliveries only
	congested bool   // guarded by mu
	closed    bool   // guarded by mu
}

// post queues an item; it reports false when the loop has ended. Safe for
// concurrent use.
func (l *loop) post(it item) bool {
	in := &l.inbox
	in.mu.Lock()
	if in.closed {
		in.mu.Unlock()
		return false
	}
	in.items = append(in.items, it)
	if it.kind == itemDeliver {
		in.bytes += len(it.frame) + itemOverhead
	}
	full := !in.congested && l.limits.Inbox > 0 && in.bytes > l.limits.Inbox
	if full {
		in.congested = true
	}
	in.mu.Unlock()
	if full {
		l.node.congest(everyPartition)
	}
	l.poller.wake()
	return true
}

// pending reports whether something waits in the inbox.
func (l *loop) pending() bool {
	l.inbox.mu.Lock()
	defer l.inbox.mu.Unlock()
	return len(l.inbox.items) > 0
}

// maxIdleItems is how many entries an inbox keeps room for: a burst must not keep
// its memory for good.
const maxIdleItems = 4 << 10

// takeInbox swaps the inbox with the batch that the loop has finished.
func (l *loop) takeInbox() {
	clear(l.batch)
	spare := l.batch[:0]
	if cap(spare) > maxIdleItems {
		spare = nil
	}
	in := &l.inbox
	in.mu.Lock()
	l.batch, in.items = in.items, spare
	in.bytes = 0
	drained := in.congested
	in.congested = false
	in.mu.Unlock()
	l.batchNext = 0
	if drained {
		l.node.relieve(everyPartition)
	}
}

// membersPerTurn bounds the deliveries of one turn, so that a burst into large
// rooms does not keep the loop from its sockets. A turn takes whole items.
const membersPerTurn = 64 << 10

// drainInbox works on what others have posted.
func (l *loop) drainInbox() {
	if l.batchNext == len(l.batch) {
		l.takeInbox()
	}
	for budget := membersPerTurn; budget > 0 && l.batchNext < len(l.batch); {
		if l.batch[l.batchNext].kind == itemDeliver {
			run := l.deliveryRun()
			budget -= l.deliver(l.batch[l.batchNext : l.batchNext+run])
			l.batchNext += run
			continue
		}
		it := l.batch[l.batchNext]
		l.batchNext++
		budget--
		l.handle(&it)
	}
}

func (l *loop) handle(it *item) {
	switch it.kind {
	case itemConfirmed:
		l.confirmed(it.wait, it.err)
	case itemReadable:
		if c := l.lookup(it.place, it.generation); c != nil {
			c.stream.reading = false
			c.onReadable(false)
		}
	case itemWritable:
		if c := l.lookup(it.place, it.generation); c != nil {
			c.stream.wrote(it.failure())
			c.onWritable()
		}
	case itemStream:
		l.adoptStream(it.conn, it.head)
	case itemUpgraded:
		l.adoptUpgraded(it)
	case itemStats:
		it.stats <- l.snapshot()
	case itemResume:
		l.resumeHeld()
	case itemCommand:
		l.obey(it.command, it.place, it.secret)
	case itemAskRoom:
		l.askMembers(it.roomAsk)
	case itemRelayedAnswer:
		l.relayedAnswer(it.clientAsk)
	case itemEmit, itemReply, itemDecided, itemWorked, itemAccept:
		if c := l.lookup(it.place, it.generation); c != nil {
			c.fromProgram(it)
		} else if it.kind == itemAccept {
			l.neverOpened(it.accept)
		}
	case itemList:
		l.list(it.listing)
	case itemNodeGone:
		l.node.nodeGone(it.gone)
	case itemDrain:
		l.startDrain(it.perSecond)
	case itemStop:
		l.stopping = true
	}
}

// fromProgram does what a handler, or the queue that it runs on, has posted.
func (c *conn) fromProgram(it *item) {
	switch it.kind {
	case itemEmit:
		c.emitted(it.emission)
	case itemReply:
		c.replied(it.frame)
	case itemDecided:
		c.decided(it.decision)
	case itemWorked:
		if c.state == connOpen && c.flags&flagLingering != 0 && !c.Held() {
			c.endLinger()
			return
		}
		c.readMail()
	case itemAccept:
		c.accepted(it.accept)
	}
}

// opcode of a message frame.
func opcode(binary bool) ws.OpCode {
	if binary {
		return ws.OpBinary
	}
	return ws.OpText
}
