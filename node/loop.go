package node

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/internal/taskqueue"
	"github.com/stoa-io/stoa/rooms"
)

// Bounds of one turn. Each keeps one busy source from starving the others; what
// is left waits for the next turn, after the sockets were asked again.
const (
	acceptsPerTurn = 64
	flushesPerTurn = 1024
)

// yieldEvery is how long a busy loop runs before it lets Go's scheduler have a
// look, in milliseconds: handlers, the broker's connections and net/http wait that
// long for a processor where all have loops. Above 10 ms the scheduler's monitor
// would interrupt it, and then wake up every 20 µs for a while, to see whether that
// happens again: a tenth of a CPU, when measured.
const yieldEvery = 1

// readBufferSize is how much one read takes: a loop has one such buffer, a
// connection has none.
const readBufferSize = 64 << 10

// loop owns a share of the node's connections. Everything here but inbox is
// touched by the loop's goroutine only; see the package comment for the rule.
type loop struct {
	// Immutable.
	node    *Node
	number  int
	limits  *Limits
	times   *times
	session *session.Config
	log     *slog.Logger

	base    context.Context // of the connections' own
	endBase context.CancelFunc

	inbox    inbox       // any goroutine
	handlers handlerPool // any goroutine
	poller   *poller

	// Loop-owned from here on.
	listener    int // descriptor, -1: none
	acceptMore  bool
	acceptAgain uint32 // when to try again after running out of descriptors; 0: now
	acceptWarn  uint32 // when such an error was logged last

	now        uint32 // milliseconds since the node started, wraps after 49 days
	yielded    uint32 // when the loop last let others run
	conns      []*conn
	free       []uint32 // slots
	generation uint32
	live       int // connections of any state

	index      rooms.Index[*conn]
	namespaces map[string]*namespace
	channels   map[string]audience
	waiting    map[string]*acquisition
	holds      map[string]int // channels that are heard for somebody who is not there yet
	asking     asker          // of the ask that is being made

	batch     []item // taken from the inbox
	batchNext int
	handed    bool    // a handler has been given something to do in this turn
	ready     []*conn // have more to read than one turn allowed
	dirty     []*conn // have something to write
	dirtyNext int
	floods    map[*conn]*flood // of those whose messages do not parse
	held      []*conn          // are not read while what they publish to is congested

	sweep    sweep
	drain    drain
	stopping bool

	upgrader    ws.Upgrader
	upgrade     upgradeState
	events      []event
	readBuffer  []byte
	writeBuffer []byte
	payload     []byte           // scratch for messages made on the loop
	envelope    cluster.Envelope // scratch for publishing
	senders     []*conn          // scratch for delivering
	queues      []*queue
	stats       LoopStats
}

func newLoop(n *Node, number int) (*loop, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	l := &loop{
		node:        n,
		number:      number,
		limits:      &n.config.Limits,
		times:       &n.times,
		session:     &n.session,
		log:         n.log,
		poller:      p,
		listener:    -1,
		namespaces:  make(map[string]*namespace),
		channels:    make(map[string]audience),
		waiting:     make(map[string]*acquisition),
		holds:       make(map[string]int),
		floods:      make(map[*conn]*flood),
		events:      make([]event, 0, maxEvents),
		readBuffer:  make([]byte, readBufferSize),
		writeBuffer: make([]byte, 0, writeBufferSize),
	}
	l.base, l.endBase = context.WithCancel(n.handling)
	l.handlers.Pool = taskqueue.NewPool(&n.handlers)
	l.stats.Closes = make(map[CloseKey]uint64)
	l.initUpgrader()
	return l, nil
}

// run is the loop's goroutine.
func (l *loop) run() {
	defer l.end()
	for !l.stopping {
		if err := l.turn(); err != nil {
			// Nothing that a peer does can make epoll_wait fail.
			l.log.Error("event loop ends", logLoop, l.number, logError, err)
			l.node.fail(fmt.Errorf("loop %d: %w", l.number, err))
			return
		}
	}
}

// turn does a bounded amount of everything there is to do.
func (l *loop) turn() error {
	park := !l.busy()
	if park {
		l.poller.sleep()
		park = !l.pending()
	}
	events, err := l.poller.wait(l.events[:0], park, l.nextTick())
	if err != nil {
		return err
	}
	l.stats.Turns++
	l.now = l.node.elapsed()
	if l.now-l.yielded >= yieldEvery {
		l.yielded = l.now
		runtime.Gosched()
	}
	for i := range events {
		l.handleEvent(&events[i])
	}
	if l.acceptMore {
		l.accept()
	}
	l.readReady()
	if l.handed {
		// The answers of quick handlers are there when the loop goes on: they leave
		// in this turn, and need not wake it.
		l.handed = false
		l.yielded = l.now
		runtime.Gosched()
	}
	l.drainInbox()
	l.tick()
	l.flushDirty()
	return nil
}

// busy reports whether a turn has left something undone that no event announces.
func (l *loop) busy() bool {
	return len(l.ready) > 0 || l.dirtyNext < len(l.dirty) || l.batchNext < len(l.batch) ||
		l.acceptMore && l.acceptAgain == 0
}

func (l *loop) handleEvent(ev *event) {
	if ev.slot == slotListener {
		l.acceptMore = true
		return
	}
	c := l.conns[ev.slot]
	if c == nil || c.generation != ev.generation {
		return // it was closed earlier in this batch
	}
	if ev.flags&eventWrite != 0 {
		c.onWritable()
	}
	if ev.flags&eventRead != 0 && c.state != connGone {
		c.onReadable(ev.flags&eventHangup != 0)
	}
}

// readReady goes on with the connections that had more to say than their share.
func (l *loop) readReady() {
	n := len(l.ready)
	for _, c := range l.ready[:n] {
		c.flags &^= flagReady
		if c.state == connClosing && c.flags&flagReadable != 0 {
			c.resume()
		} else if c.state != connGone {
			c.onReadable(c.flags&flagHangup != 0)
		}
	}
	rest := copy(l.ready, l.ready[n:])
	clear(l.ready[rest:])
	l.ready = l.ready[:rest]
}

// flushDirty writes what the turn has queued, each connection at most once.
func (l *loop) flushDirty() {
	end := min(len(l.dirty), l.dirtyNext+flushesPerTurn)
	for ; l.dirtyNext < end; l.dirtyNext++ {
		c := l.dirty[l.dirtyNext]
		l.dirty[l.dirtyNext] = nil
		c.flags &^= flagDirty
		if c.state != connGone {
			c.flush()
		}
	}
	if l.dirtyNext == len(l.dirty) {
		l.dirty = l.dirty[:0]
		l.dirtyNext = 0
	}
}

// lookup finds the connection at a place, if it is still the same one.
func (l *loop) lookup(p place, generation uint32) *conn {
	if int(p.slot()) >= len(l.conns) {
		return nil
	}
	c := l.conns[p.slot()]
	if c == nil || c.generation != generation {
		return nil
	}
	return c
}

// newConn gives a connection its slot. It returns nil when there is none left,
// which no machine reaches.
func (l *loop) newConn() *conn {
	var slot uint32
	if n := len(l.free); n > 0 {
		slot = l.free[n-1]
		l.free = l.free[:n-1]
	} else {
		if len(l.conns) >= maxSlots {
			return nil
		}
		slot = uint32(len(l.conns))
		l.conns = append(l.conns, nil)
	}
	l.generation++
	c := &conn{loop: l, slot: slot, generation: l.generation, fd: -1, lastRead: l.now, state: connHandshake}
	l.conns[slot] = c
	l.live++
	l.stats.Pending++
	return c
}

func (l *loop) freeSlot(slot uint32) {
	l.conns[slot] = nil
	l.free = append(l.free, slot)
	l.live--
}

// snapshot copies the counters. The state that is not counted on the way is
// gathered here.
func (l *loop) snapshot() LoopStats {
	s := l.stats
	s.Closes = make(map[CloseKey]uint64, len(l.stats.Closes))
	for k, n := range l.stats.Closes {
		s.Closes[k] = n
	}
	s.Rooms = l.index.Rooms()
	s.Memberships = l.index.Memberships()
	for _, c := range l.held {
		if c.state != connGone {
			s.Held++
		}
	}
	for i := range l.handlers.dropped {
		s.MessagesIn[i][MessageDropped] += l.handlers.dropped[i].Load()
	}
	l.inbox.mu.Lock()
	s.InboxBytes = l.inbox.bytes
	l.inbox.mu.Unlock()
	return s
}

// end closes whatever is left and leaves the final counters behind.
func (l *loop) end() {
	l.now = l.node.elapsed()
	l.closeListener()
	for _, c := range l.conns {
		if c != nil {
			c.destroy(drainCode, ByServer)
		}
	}
	l.endBase()
	last := l.snapshot()
	last.InboxBytes, last.Held = 0, 0
	// Before the inbox is closed: who finds it closed asks for this one.
	l.node.loopEnded(l.number, last)
	l.inbox.mu.Lock()
	l.inbox.closed = true
	rest := append(l.batch[l.batchNext:], l.inbox.items...)
	congested := l.inbox.congested
	l.inbox.congested = false
	l.inbox.items = nil
	l.inbox.mu.Unlock()
	if congested {
		l.node.relieve(everyPartition)
	}
	for i := range rest {
		if rest[i].errand != nil && rest[i].conn != nil {
			_ = rest[i].conn.Close()
		}
		if rest[i].errand != nil && rest[i].accept != nil {
			l.neverOpened(rest[i].accept)
		}
		if rest[i].errand != nil && rest[i].listing != nil {
			close(rest[i].listing.page)
		}
		if rest[i].errand != nil && rest[i].stats != nil {
			rest[i].stats <- last
		}
	}
	if err := l.poller.close(); err != nil {
		l.log.Warn("closing a poller", logLoop, l.number, logError, err)
	}
}

// times are the node's timeouts in the loop's unit, milliseconds; 0 is off.
type times struct {
	handshake, ping, pong, write, close uint32
	sweep                               time.Duration // a whole round over all connections
}

func newTimes(t Timeouts) times {
	shortest := time.Second * 8
	unit := func(d time.Duration) uint32 {
		if d < 0 {
			return 0
		}
		shortest = min(shortest, d)
		return uint32(max(1, d.Milliseconds()))
	}
	out := times{
		handshake: unit(t.Handshake), ping: unit(t.Ping), pong: unit(t.Pong),
		write: unit(t.Write), close: unit(t.Close),
	}
	out.sweep = max(shortest/8, 8*time.Millisecond)
	return out
}
