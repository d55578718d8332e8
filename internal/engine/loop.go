package engine

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"sync/atomic"

	"github.com/stoa-io/stoa/internal/addresses"
	"github.com/stoa-io/stoa/internal/bucket"
	"github.com/stoa-io/stoa/internal/closecode"
	"github.com/stoa-io/stoa/internal/netpoll"
)

// Bounds of one turn. Each keeps a busy source from starving the others; the
// rest waits for the next turn, after the sockets were polled again.
const (
	acceptsPerTurn = 64
	flushesPerTurn = 1024
)

// A read may bring thousands of small frames, so the frames of one connection
// in one turn are bounded, too. The connections that used up their share in the
// last turn divide floodFrames: several floods make a turn hardly longer than
// one does.
const (
	maxFramesPerTurn = 64
	minFramesPerTurn = 4
	floodFrames      = 128
)

// yieldEvery is how long a busy loop runs before it yields to Go's scheduler,
// in milliseconds: handlers, broker connections and net/http wait that long for
// a processor where loops keep all of them busy. Above 10 ms the scheduler's
// monitor would interrupt the loop, and then wake up every 20 µs for a while to
// check again: a tenth of a CPU, when measured.
const yieldEvery = 1

// readBufferSize is how much one read takes: a loop has one such buffer, a
// connection has none.
const readBufferSize = 64 << 10

// MaxSlots is how many connections a loop may have.
const MaxSlots = 1<<26 - 1

// Loop owns a share of the server's connections. Its fields are touched by the
// loop's goroutine only, unless marked; see the package comment for the rule.
type Loop struct {
	// Immutable.
	server *Server
	number int
	limits *Limits
	times  *times
	log    *slog.Logger
	shard  Shard

	base    context.Context // of the connections' contexts
	endBase context.CancelFunc
	poller  *netpoll.Poller // set before the loop runs
	// waker is the poller for Wake, which may be called while the server
	// starts.
	waker atomic.Pointer[netpoll.Poller]

	inbox inbox // any goroutine

	// Loop-owned from here on.
	listener    int // descriptor, -1: none
	acceptMore  bool
	acceptAgain uint32 // when to try again after running out of descriptors; 0: now
	acceptWarn  uint32 // when such an error was logged last
	pending     pending
	evictWarn   uint32 // when a connection that was closed to make room was logged last

	now        uint32 // milliseconds since the server started, wraps after 49 days
	yielded    uint32 // when the loop last yielded
	yieldSoon  bool   // yield again in this turn
	conns      []*Conn
	free       []uint32 // slots
	generation uint32
	live       int // connections of any state

	frames    int     // that the connection being read may still send in this turn
	completed bool    // a message of the bytes that were consumed last was complete
	tasks     []task  // taken from the inbox
	ready     []*Conn // have more input than one turn allowed
	dirty     []*Conn // have output
	dirtyNext int
	eased     []*Conn // their send queue is half empty, which the owner does not know yet
	congested []*Conn // are paused because a source that they feed is congested
	blocked   []*Conn // their sockets were full; some are not any more

	rates  *bucket.Limits // nil: none
	alarms alarms

	addresses []*addresses.Entry // by slot, with a limit of addresses

	peers map[uint32]netip.AddrPort // by slot, of connections without a whole request, with an Upgrader

	sweep        sweep
	forgiveUntil uint32 // no timeout applies before; 0: all apply
	drain        drain
	drained      bool // see markDrained
	stopping     bool

	upgrade     upgradeRequest // of the connection whose handshake is being read
	events      []netpoll.Event
	readBuffer  []byte
	writeBuffer []byte
	queues      []*sendQueue
	stats       Stats
}

func newLoop(s *Server, number int) *Loop {
	l := &Loop{
		server:      s,
		number:      number,
		limits:      &s.config.Limits,
		times:       &s.times,
		log:         s.log,
		listener:    -1,
		events:      make([]netpoll.Event, 0, netpoll.MaxEvents),
		readBuffer:  make([]byte, readBufferSize),
		writeBuffer: make([]byte, 0, writeBufferSize),
	}
	l.base, l.endBase = context.WithCancel(s.config.Base)
	l.setRates(&l.limits.Rates)
	l.shard = s.config.NewShard(l)
	return l
}

// SetLimits replaces Message, SendQueue, PendingHandshakes and Rates. It
// belongs to the loop. See Conn.RetryRate for connections that are paused.
func (l *Loop) SetLimits(limits *Limits) {
	l.limits = limits
	l.setRates(&limits.Rates)
}

// SendQueueLimit is Limits.SendQueue. It belongs to the loop.
func (l *Loop) SendQueueLimit() int { return l.limits.SendQueue }

// Number is the place of the loop among those of its server, from 0.
func (l *Loop) Number() int { return l.number }

// Shard returns the owner of the loop's connections. Safe for concurrent use.
func (l *Loop) Shard() Shard { return l.shard }

// Context is canceled when the loop ends. Safe for concurrent use.
func (l *Loop) Context() context.Context { return l.base }

// Now is the loop's clock: milliseconds since the server started. It wraps
// after 49 days; compare with Before.
func (l *Loop) Now() uint32 { return l.now }

// Before compares two readings of a loop's clock.
func Before(a, b uint32) bool { return int32(a-b) < 0 }

// YieldSoon makes the loop yield to Go's scheduler again in this turn, after
// reading and before the shard works: the output of fast goroutines then leaves
// in the same turn.
func (l *Loop) YieldSoon() { l.yieldSoon = true }

// Wake ends the loop's sleep. Safe for concurrent use, also before the server
// has started.
func (l *Loop) Wake() {
	if poller := l.waker.Load(); poller != nil {
		poller.Wake()
	}
}

// Slots is the size of the loop's table: all slots are below it.
func (l *Loop) Slots() int { return len(l.conns) }

// Conn returns the connection in a slot, nil if there is none.
func (l *Loop) Conn(slot uint32) *Conn {
	if int64(slot) >= int64(len(l.conns)) {
		return nil
	}
	return l.conns[slot]
}

// run is the loop's goroutine.
func (l *Loop) run() {
	defer l.end()
	for !l.stopping {
		if err := l.turn(); err != nil {
			// No peer can make epoll_wait fail.
			l.log.Error("event loop failed", logLoop, l.number, logError, err)
			l.server.fail(fmt.Errorf("loop %d: %w", l.number, err))
			return
		}
	}
}

// turn does a bounded amount of everything there is to do.
func (l *Loop) turn() error {
	park := !l.busy() && !l.shard.Pending()
	if park {
		// Work that arrives from here on wakes the poller.
		l.poller.Sleep()
		park = !l.inbox.pending() && !l.shard.Pending()
	}
	events, err := l.poller.Wait(l.events[:0], park, l.nextTick())
	if err != nil {
		return err
	}
	l.stats.Turns++
	l.now = l.server.elapsed()
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
	l.notifyDrained()
	if l.yieldSoon {
		// The answers of fast handlers are there when the loop continues: they
		// leave in this turn, and need not wake it.
		l.yieldSoon = false
		l.yielded = l.now
		runtime.Gosched()
	}
	l.runTasks()
	l.shard.Work()
	l.tick()
	l.ringAlarms()
	l.flushDirty()
	return nil
}

// busy reports whether a turn has left work that no event announces.
func (l *Loop) busy() bool {
	return len(l.ready) > 0 || len(l.eased) > 0 || l.dirtyNext < len(l.dirty) || l.acceptMore && l.acceptAgain == 0
}

func (l *Loop) handleEvent(ev *netpoll.Event) {
	if ev.Slot == netpoll.SlotListener {
		l.acceptMore = true
		return
	}
	c := l.conns[ev.Slot]
	if c == nil || c.generation != ev.Generation {
		return // it was closed earlier in this batch
	}
	if ev.Flags&netpoll.Writable != 0 {
		c.onWritable()
	}
	if ev.Flags&netpoll.Readable != 0 && c.state != connGone {
		c.onReadable(ev.Flags&netpoll.HungUp != 0)
	}
}

// shareTurn sets how many frames of the next connection are handled before the
// others have their turn.
func (l *Loop) shareTurn() {
	l.frames = min(maxFramesPerTurn, max(minFramesPerTurn, floodFrames/(1+len(l.ready))))
}

// readReady continues with the connections that had more input than their
// share.
func (l *Loop) readReady() {
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

// notifyDrained tells owners that a send queue is half empty again. They may
// read the connection again, and fill the queue again.
func (l *Loop) notifyDrained() {
	n := len(l.eased)
	for _, c := range l.eased[:n] {
		if c.state == connOpen && c.flags&flagOver == 0 {
			c.handler.Drained()
		}
	}
	rest := copy(l.eased, l.eased[n:])
	clear(l.eased[rest:])
	l.eased = l.eased[:rest]
}

// flushDirty writes the output of the turn, each connection at most once.
func (l *Loop) flushDirty() {
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

// lookup finds the connection in a slot, if it is still the same one.
func (l *Loop) lookup(slot, generation uint32) *Conn {
	if c := l.Conn(slot); c != nil && c.generation == generation {
		return c
	}
	return nil
}

// newConn gives a connection its slot. It returns nil when there is none left,
// which no machine reaches.
func (l *Loop) newConn() *Conn {
	var slot uint32
	if n := len(l.free); n > 0 {
		slot = l.free[n-1]
		l.free = l.free[:n-1]
	} else {
		if len(l.conns) >= MaxSlots {
			return nil
		}
		slot = uint32(len(l.conns))
		l.conns = append(l.conns, nil)
	}
	l.generation++
	c := l.shard.NewConn()
	c.loop, c.slot, c.generation = l, slot, l.generation
	c.fd, c.lastRead, c.state = -1, l.now, connHandshake
	l.conns[slot] = c
	l.live++
	l.server.live.Add(1)
	l.stats.Pending++
	return c
}

func (l *Loop) freeSlot(slot uint32) {
	l.conns[slot] = nil
	delete(l.peers, slot)
	l.free = append(l.free, slot)
	l.live--
	l.server.dropLive()
}

// end closes the remaining connections.
func (l *Loop) end() {
	l.now = l.server.elapsed()
	l.closeListener()
	for _, c := range l.conns {
		if c != nil {
			c.destroy(closecode.GoingAway, ByServer)
		}
	}
	l.markDrained()
	l.endBase()
	l.shard.Stopped()
	l.closeInbox()
	if l.poller == nil {
		return
	}
	if err := l.poller.Close(); err != nil {
		l.log.Warn("closing a poller failed", logLoop, l.number, logError, err)
	}
	l.poller = nil // its descriptors may belong to others by now
}
