package engine

import (
	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/internal/bucket"
	"github.com/stoa-io/stoa/internal/netpoll"
)

// connState is how far a connection has come. It only grows.
type connState uint8

const (
	connProxied    connState = iota + 1 // the header of the PROXY protocol is awaited
	connHandshake                       // an HTTP request head is awaited
	connAccepting                       // the Upgrader decides about the request
	connOpen                            // frames are exchanged
	connClosing                         // our close frame is out, the peer's is awaited
	connDiscarding                      // all further input is ignored
	connGone                            // closed; kept only by lists that have not dropped it yet
)

type connFlags uint32

const (
	flagDirty     connFlags = 1 << iota // in loop.dirty
	flagReady                           // in loop.ready
	flagReadable                        // the socket had bytes when the connection was paused
	flagHangup                          // the peer has closed its side: read to the end
	flagPinged                          // a ping is out and no byte arrived since
	flagDeadline                        // deadline counts
	flagFinishing                       // close the socket when the send queue is empty
	flagHalfClose                       // close our side of it when the send queue is empty
	flagUpgraded                        // is a WebSocket, not an HTTP connection
	flagEnded                           // Handler.Ended was called
	flagDeferred                        // the close waits for FinishClose; input stays unread
	flagTick                            // Handler.Tick is wanted
	flagOver                            // the send queue has exceeded its limit and is not half empty yet
	flagPartial                         // deadline is that of a message that has begun
	flagRefused                         // is a WebSocket only to learn why it is refused
	flagKept                            // in holds whole frames that wait for the next turn
	flagPending                         // counted in loop.pending
	flagBlocked                         // in loop.blocked
)

// PauseBits say why a connection is not read. Each owner of a reason sets and
// clears its own bit.
type PauseBits uint8

const (
	pauseCongested PauseBits = 1 << iota // in loop.congested
	pauseRate                            // exceeds a rate; an alarm is set
	// PauseBacklog is for owners whose backlog for the connection is full.
	PauseBacklog
	// PauseSlow is for owners of a connection whose own peer, or the peers that
	// its messages go to, do not read fast enough.
	PauseSlow
	// PauseTurn is for owners that let a connection wait for its turn.
	PauseTurn
	// PauseShare is for owners of a connection that sends more than is handled.
	PauseShare
)

// Conn is one connection on its loop. Its owner embeds it and calls Init; all
// methods belong to the loop. There are hundreds of thousands of them, so the
// owner's tests hold its size.
type Conn struct {
	// Immutable after adoption. One of fd and blocking serves the connection.
	loop       *Loop
	handler    Handler
	blocking   *blockingIO
	fd         int32
	slot       uint32
	generation uint32

	lastRead  uint32 // the loop's clock
	deadline  uint32 // counts while flagDeadline is set
	flags     connFlags
	closeCode uint16
	feeds     CongestionSet // sources that the connection publishes to
	state     connState
	closeBy   Initiator
	pause     PauseBits

	in   []byte     // received, not yet a whole frame; nil while idle
	out  *sendQueue // nil while idle
	rare *connRare  // nil while idle, unless rates are limited or a proxy has named the client
}

// connRare holds state that few connections have at a time.
type connRare struct {
	fragment fragment
	partial  bool          // fragment is in use
	end      func()        // the close that waits for FinishClose
	remote   string        // RemoteAddr, if it is not that of the socket; kept to the end
	probed   uint32        // the loop's clock; when a connection above its rate was pinged last
	meter    *bucket.Meter // nil until the connection has sent something that a rate limits
}

// fragment is a message of which more frames are to come.
type fragment struct {
	op    ws.OpCode
	data  []byte
	valid int // bytes of a text that are whole, valid characters
}

// Init ties the connection to its owner's side of it.
func (c *Conn) Init(h Handler) { c.handler = h }

// Loop returns the loop that owns the connection.
func (c *Conn) Loop() *Loop { return c.loop }

// Handler returns the owner's side of the connection.
func (c *Conn) Handler() Handler { return c.handler }

// Slot is the place of the connection in the table of its loop. It is reused.
func (c *Conn) Slot() uint32 { return c.slot }

// Generation tells connections apart that had the same slot.
func (c *Conn) Generation() uint32 { return c.generation }

// IsOpen reports whether frames are exchanged: the handshake has succeeded and
// no close has begun.
func (c *Conn) IsOpen() bool { return c.state == connOpen }

// IsClosing reports whether the close waits for FinishClose.
func (c *Conn) IsClosing() bool { return c.state == connOpen && c.flags&flagDeferred != 0 }

// HasEnded reports whether Handler.Ended was called.
func (c *Conn) HasEnded() bool { return c.flags&flagEnded != 0 }

// RemoteAddr is the address of the peer, "host:port": that of the client behind
// trusted proxies.
func (c *Conn) RemoteAddr() string {
	switch {
	case c.rare != nil && c.rare.remote != "":
		return c.rare.remote
	case c.blocking != nil:
		return c.blocking.conn.RemoteAddr().String()
	case c.fd >= 0:
		return netpoll.Peer(int(c.fd))
	}
	return ""
}

// SetRemoteAddr replaces RemoteAddr.
func (c *Conn) SetRemoteAddr(address string) {
	if address != c.RemoteAddr() {
		c.needRare().remote = address
	}
}

// SetDeadline replaces the connection's only deadline; 0 milliseconds is none.
// When it passes, Handler.Deadline is called if the connection is open, and the
// loop closes it otherwise.
func (c *Conn) SetDeadline(milliseconds uint32) {
	c.flags &^= flagPartial
	if milliseconds == 0 {
		c.flags &^= flagDeadline
		return
	}
	c.flags |= flagDeadline
	c.deadline = c.loop.now + milliseconds
}

// WantTick switches Handler.Tick on or off.
func (c *Conn) WantTick(on bool) {
	if on {
		c.flags |= flagTick
	} else {
		c.flags &^= flagTick
	}
}

func (c *Conn) needRare() *connRare {
	if c.rare == nil {
		c.rare = new(connRare)
	}
	return c.rare
}

func (c *Conn) tidyRare() {
	if c.rare != nil && !c.rare.partial && c.rare.end == nil && c.rare.meter == nil && c.rare.remote == "" {
		c.rare = nil
	}
}

// dropRare frees what a connection that closes does not need.
func (c *Conn) dropRare() {
	if c.rare != nil && c.rare.remote != "" {
		c.rare = &connRare{remote: c.rare.remote}
	} else {
		c.rare = nil
	}
}

// receive reads from the transport.
func (c *Conn) receive(p []byte) (int, error) {
	if c.blocking != nil {
		return c.blocking.read(p)
	}
	return netpoll.Read(int(c.fd), p)
}

// send writes to the transport.
func (c *Conn) send(p []byte) (int, error) {
	if c.blocking != nil {
		return c.blocking.write(p)
	}
	return netpoll.Write(int(c.fd), p)
}

// opened turns an HTTP connection into a WebSocket.
func (c *Conn) opened(value any) {
	l := c.loop
	c.state = connOpen
	c.flags |= flagUpgraded
	c.setPending(false)
	l.stats.Pending--
	l.stats.Connections++
	l.server.open.Add(1)
	l.stats.Handshakes[HandshakeAccepted]++
	c.handler.Opened(value)
}

// explain is opened for a refused request. The connection still counts as one
// that waits for its handshake.
func (c *Conn) explain(d *Decision) {
	c.state = connOpen
	c.flags |= flagUpgraded | flagRefused
	c.setPending(true)
	c.loop.stats.Handshakes[d.refusal().result]++
	c.handler.Opened(d.Value)
}
