package client

import (
	"bufio"
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// closeTimeout is how long a connection may take to send what is queued and to say
// goodbye.
const closeTimeout = 5 * time.Second

// link is one connection of a Conn, from the upgrade to its end. Two goroutines serve
// it, read and write; neither ever runs code of the program.
type link struct {
	conn   *Conn         // immutable
	socket net.Conn      // immutable
	frames frameReader   // read's own
	wake   chan struct{} // holds a token when write has something to look at
	ended  chan struct{} // closed when the link is over
	heard  atomic.Int64  // when something came last, UnixNano

	// The rest is guarded by conn.mu.

	session session.Session
	over    bool // nothing comes from the session and nothing new goes out
	phase   phase
	// calling hears of the ask that is being made, callers of those in flight.
	calling func(*session.Answer)
	callers map[uint64]func(*session.Answer)
	paused  chan struct{} // closed by an ask, as more may be read then; nil: it is no news
	pending int           // asks of the rejoin that are not answered
	failure error         // why the rejoin has to begin anew
	since   time.Time     // when it got ready
	held    []frame       // behind a deferred request
	heldBy  int           // bytes in held

	queue   []outgoing
	queued  int           // bytes in queue
	eased   chan struct{} // closed when queue gets shorter; nil: nobody waits
	leaving int           // emissions that are being written
	pong    []byte        // payload to answer with; nil: none
	ping    bool          // due
	ending  ending
	code    wire.Code   // of the close frame
	timer   *time.Timer // closes the socket in the end
}

// phase is how far a link has come.
type phase uint8

const (
	phaseHello  phase = iota + 1 // waits for the acknowledgement
	phaseRejoin                  // comes back into namespaces and rooms
	phaseReady
)

// ending is how a link that is over ends.
type ending uint8

const (
	endingNone  ending = iota
	endingFlush        // sends the queue and a close frame, waits for the peer's
	endingReply        // sends the close frame that answers the peer's
	endingCut          // is closed at once
)

// outgoing is a message on its way to the socket.
type outgoing struct {
	payload  []byte
	binary   bool
	emission *emission // nil: it belongs to this connection only
}

// outgoingOverhead is what a message costs beside its payload, in bytes.
const outgoingOverhead = 64

// frame is a whole message of the peer.
type frame struct {
	payload []byte
	binary  bool
}

func newLink(c *Conn, socket net.Conn, buffered *bufio.Reader) *link {
	l := &link{
		conn: c, socket: socket, phase: phaseHello,
		wake: make(chan struct{}, 1), ended: make(chan struct{}),
		callers: make(map[uint64]func(*session.Answer)),
	}
	l.heard.Store(time.Now().UnixNano())
	l.frames = frameReader{reader: bufio.NewReader(&joined{l, buffered}), limit: c.options.ReadLimit}
	return l
}

// run serves the link until it is over, and returns when nothing of it is left.
func (l *link) run() {
	var both sync.WaitGroup
	both.Go(l.read)
	both.Go(l.write)
	both.Wait()
	_ = l.socket.Close()
	c := l.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
	}
	if c.state == StateClosed && emissions(l.queue) > 0 {
		c.unsent = true
	}
}

// end makes the link over, the given way; the first call counts. Asks in flight end
// with an error. It is called with conn.mu held, and never from inside a callback of
// the session.
func (l *link) end(how ending, code wire.Code) {
	if l.over {
		return
	}
	l.over, l.ending, l.code = true, how, code
	l.session.Close()
	l.held, l.heldBy = nil, 0
	if l.timer != nil {
		l.timer.Stop()
	}
	if how == endingCut {
		l.cut()
	} else {
		l.timer = time.AfterFunc(closeTimeout, l.cut)
	}
	close(l.ended)
	l.ease()
	l.signal()
}

// cut closes the network connection. Closing one of TLS would say goodbye first, and
// wait for a peer that does not read.
func (l *link) cut() {
	socket := l.socket
	for {
		secure, ok := socket.(*tls.Conn)
		if !ok {
			break
		}
		socket = secure.NetConn()
	}
	_ = socket.Close()
}

// emissions counts what belongs to the program and not to the connection.
func emissions(queue []outgoing) (count int) {
	for _, out := range queue {
		if out.emission != nil {
			count++
		}
	}
	return count
}

// signal lets write look at what there is to do.
func (l *link) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// push queues a message.
func (l *link) push(out outgoing) {
	l.queue = append(l.queue, out)
	l.queued += len(out.payload) + outgoingOverhead
	l.signal()
}

// full reports whether the queue holds more than times the limit.
func (l *link) full(times int) bool {
	limit := l.conn.options.WriteQueue
	return !l.over && limit >= 0 && l.queued > times*limit
}

// waitEased waits until the queue is shorter or the link over, with conn.mu held before
// and after.
func (l *link) waitEased() {
	if l.eased == nil {
		l.eased = make(chan struct{})
	}
	eased := l.eased
	l.conn.mu.Unlock()
	defer l.conn.mu.Lock()
	select {
	case <-eased:
	case <-l.ended:
	}
}

func (l *link) ease() {
	if l.eased != nil {
		close(l.eased)
		l.eased = nil
	}
}

// joined reads the bytes that came with the handshake and then the socket, notes that
// something came, and gives up when nothing does.
type joined struct {
	link     *link
	buffered *bufio.Reader // nil: none are left
}

// Read implements io.Reader.
func (j *joined) Read(p []byte) (int, error) {
	if j.buffered != nil {
		if waiting := j.buffered.Buffered(); waiting > 0 {
			return j.buffered.Read(p[:min(len(p), waiting)])
		}
		ws.PutReader(j.buffered)
		j.buffered = nil
	}
	l := j.link
	if idle := l.conn.options.IdleTimeout; idle > 0 {
		_ = l.socket.SetReadDeadline(time.Now().Add(idle))
	}
	n, err := l.socket.Read(p)
	if n > 0 {
		l.heard.Store(time.Now().UnixNano())
	}
	return n, err
}
