package node

import (
	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// connState is how far a connection has come. It only grows.
type connState uint8

const (
	connHandshake  connState = iota + 1 // an HTTP request head is awaited
	connAccepting                       // the program decides about the request
	connOpen                            // frames are exchanged
	connClosing                         // our close frame is on its way, the peer's is awaited
	connDiscarding                      // what still arrives has no meaning any more
	connGone                            // closed; kept only by lists that have not met it yet
)

type connFlags uint16

const (
	flagDirty      connFlags = 1 << iota // in loop.dirty
	flagReady                            // in loop.ready
	flagReadable                         // the socket had something when it was held
	flagHangup                           // the peer has closed its side: read to the end
	flagHeld                             // in loop.held: not read while what it publishes to is congested
	flagMailFull                         // not read until its mailbox has drained
	flagPinged                           // a ping is out and nothing came since
	flagDeadline                         // deadline counts
	flagFinishing                        // close the socket when everything is written
	flagHalfClose                        // close our side of it when everything is written
	flagUpgraded                         // is a WebSocket, not an HTTP connection
	flagSessionEnd                       // the session was closed
	flagLingering                        // the end waits for handlers; what still arrives is not read
)

// closeGone stands for connections that never were WebSockets: they are not
// counted among the closes.
const closeGone wire.Code = 0

// conn is one connection on its loop: loop-owned, never touched by anybody else.
// It is the smallest thing that there are hundreds of thousands of; TestConnSize
// holds its size.
type conn struct {
	loop *loop

	// Immutable after adoption. One of fd and stream serves the connection.
	stream     *stream
	fd         int32
	slot       uint32
	generation uint32
	secret     secret

	state     connState
	closeBy   Initiator
	closeCode wire.Code
	flags     connFlags
	published partitions // that it has published to, in rooms that it has not left since

	lastRead uint32 // the loop's clock
	deadline uint32 // counts while flagDeadline is set

	in       []byte    // received, not yet a whole frame; nil while idle
	out      *queue    // to be written; nil while idle
	fragment *fragment // nil outside a fragmented message
	mail     *mailbox  // messages that wait behind a deferred request; nil while idle
	id       string    // "" until first asked for
	asks     *openAsks // nil while there are none
	handle   *Conn     // the program's; nil as long as none of its handlers has met the connection

	session session.Session
}

// fragment is a message of which more frames are to come.
type fragment struct {
	op    ws.OpCode
	data  []byte
	valid int // bytes of a text that are whole, valid characters
}

// flood counts the payloads of a connection that do not parse.
type flood struct {
	since uint32
	count int
}

// place is where the connection is, for items of other goroutines.
func (c *conn) place() place { return placeOf(c.loop.number, c.slot) }

// ID is made when it is first needed: an idle listener never needs it again
// after its acknowledgement.
func (c *conn) ID() string {
	if c.id == "" {
		c.id = connID(c.loop.node.config.ID, c.place(), c.secret)
	}
	return c.id
}

// receive reads from whichever serves the connection.
func (c *conn) receive(p []byte) (int, error) {
	if c.stream != nil {
		return c.stream.read(p)
	}
	return readSocket(int(c.fd), p)
}

// send writes to whichever serves the connection.
func (c *conn) send(p []byte) (int, error) {
	if c.stream != nil {
		return c.stream.write(p)
	}
	return writeSocket(int(c.fd), p)
}

// remoteAddr is the address of the peer.
func (c *conn) remoteAddr() string {
	switch {
	case c.stream != nil:
		return c.stream.conn.RemoteAddr().String()
	case c.fd >= 0:
		return socketPeer(int(c.fd))
	}
	return ""
}

// opened turns an HTTP connection into a WebSocket. a is nil if the program was
// not asked.
func (c *conn) opened(a *Accept) {
	l := c.loop
	c.state = connOpen
	c.flags |= flagUpgraded
	c.secret = newSecret()
	l.stats.Pending--
	l.stats.Connections++
	l.node.open.Add(1)
	l.stats.Handshakes[HandshakeAccepted]++
	c.session.Init(l.session, c)
	if a != nil {
		made := c.handled()
		made.values, made.remote = a.values, a.Request.RemoteAddr
	}
	if l.session.NativeOnly {
		c.setDeadline(0) // there is no hello to wait for
		c.tellOpened()
	}
}
