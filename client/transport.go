package client

import (
	"bufio"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// closeTimeout is how long a transport may take to send its queue and to finish
// the closing handshake.
const closeTimeout = 5 * time.Second

// transport is one WebSocket connection of a Conn, from the upgrade to the
// close. Two goroutines serve it, read and write; neither ever calls a handler.
type transport struct {
	conn     *Conn         // immutable
	socket   net.Conn      // immutable
	frames   frameReader   // read's own
	wake     chan struct{} // holds a token when write has work
	ended    chan struct{} // closed when the transport is over
	begun    time.Time     // immutable
	lastLife atomic.Int64  // since begun: received bytes, or that the server took some from a full socket

	// The rest is guarded by conn.mu.

	session session.Session
	over    bool // the session is closed and no new messages are queued
	phase   phase
	// responder receives the answer to the ask that is being made, responders
	// those to the asks in flight.
	responder     func(*session.Answer)
	responders    map[uint64]func(*session.Answer)
	paused        chan struct{} // closed by an ask, which raises the limit; nil: reading is not paused
	pending       int           // unanswered asks of the rejoin
	failure       error         // why the rejoin has failed
	refused       *RefusedError // nil unless the server has refused the client
	readySince    time.Time
	deferred      []frame // queued behind a deferred request
	deferredBytes int     // of deferred
	renewal       renewal

	queue   []outgoing
	queued  int           // bytes in queue
	eased   chan struct{} // closed when queue gets shorter; nil: nothing waits for it
	leaving int           // emits that are being written
	pong    []byte        // payload to answer with; nil: none
	ping    bool          // due
	ending  ending
	code    wire.Code   // of the close frame
	timer   *time.Timer // bounds the rejoin, then the closing handshake
}

// phase is the progress of a transport.
type phase uint8

const (
	phaseHello  phase = iota + 1 // waits for the acknowledgement
	phaseRejoin                  // reconnects namespaces and rejoins rooms
	phaseReady
)

// ending is how a transport that is over closes.
type ending uint8

const (
	endingNone  ending = iota
	endingFlush        // sends the queue and a close frame, waits for the peer's
	endingReply        // sends the close frame that answers the peer's
	endingCut          // is closed at once
)

// outgoing is a message in the queue of a transport.
type outgoing struct {
	payload []byte
	binary  bool
	emit    *queuedEmit // nil: the message belongs to this transport only
}

// outgoingOverhead is what a message costs in addition to its payload, in
// bytes.
const outgoingOverhead = 64

// frame is a whole message of the peer.
type frame struct {
	payload []byte
	binary  bool
}

func newTransport(c *Conn, socket net.Conn, buffered *bufio.Reader) *transport {
	t := &transport{
		conn: c, socket: socket, begun: time.Now(), phase: phaseHello,
		wake: make(chan struct{}, 1), ended: make(chan struct{}),
		responders: make(map[uint64]func(*session.Answer)),
	}
	t.frames = frameReader{reader: bufio.NewReader(&prefixedReader{t, buffered}), limit: c.options.ReadLimit}
	return t
}

// run serves the transport until it is closed and its goroutines have ended.
func (t *transport) run() {
	var both sync.WaitGroup
	both.Go(t.read)
	both.Go(t.write)
	both.Wait()
	_ = t.socket.Close()
	t.renewal.running.Wait()
	c := t.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.timer != nil {
		t.timer.Stop()
	}
	if c.state == StateClosed && countEmits(t.queue) > 0 {
		c.unsent = true
	}
}

// begin starts the session. The caller holds conn.mu.
func (t *transport) begin() {
	t.session.Init(&t.conn.sessions, t)
	if t.conn.options.NativeOnly {
		t.ready()
		return
	}
	t.session.Hello()
}

// settle completes changes that callbacks of the session must not make
// themselves. The caller holds conn.mu.
func (t *transport) settle() {
	switch {
	case t.over:
	case t.failure != nil:
		t.abort(t.failure)
	case t.phase == phaseRejoin && t.pending == 0:
		t.ready()
	}
}

// ready sends the buffered emits and reports the state. The caller holds
// conn.mu.
func (t *transport) ready() {
	c := t.conn
	if t.timer != nil {
		t.timer.Stop()
	}
	t.phase, t.readySince = phaseReady, time.Now()
	for _, e := range c.buffer.take() {
		if e.scope.missing() == nil {
			t.push(outgoing{payload: e.payload, binary: e.binary, emit: e})
		}
	}
	first := c.state == StateConnecting
	c.move(&StateEvent{Conn: c, From: c.state, To: StateConnected, ID: c.id, Attempt: max(c.backoff.attempt, 1), Delay: c.backoff.delay})
	if first {
		close(c.opened)
	}
	c.expirePublishes()
	c.outbox.Connect()
	c.sendPublishes()
}

// end closes the session and starts to close the transport; the first call
// counts. Asks in flight fail. The caller holds conn.mu and is not a callback
// of the session.
func (t *transport) end(how ending, code wire.Code) {
	if t.over {
		return
	}
	t.over, t.ending, t.code = true, how, code
	t.session.Close()
	t.conn.losePublishes()
	t.deferred, t.deferredBytes = nil, 0
	if t.renewal.cancel != nil {
		t.renewal.cancel()
	}
	if t.timer != nil {
		t.timer.Stop()
	}
	if how == endingCut {
		t.cut()
	} else {
		t.timer = afterTimeout(closeTimeout, t.cut)
	}
	close(t.ended)
	t.ease()
	t.signal()
}

// abort ends the transport because of an error. The caller holds conn.mu.
func (t *transport) abort(err error) {
	t.end(endingCut, wire.CodeNormal)
	t.lost(err)
}

// lost reports the end of the transport. After a refusal no other error
// matters. The caller holds conn.mu.
func (t *transport) lost(err error) {
	if t.refused == nil {
		t.conn.lost(t, err)
		return
	}
	var closed *CloseError
	if errors.As(err, &closed) {
		t.refused.Code, t.refused.retryAfter = closed.Code, suggestion(closed)
	}
	t.conn.lost(t, t.refused)
}

// cut closes the network connection. Closing the TLS connection instead would
// send an alert first, and block on a peer that does not read.
func (t *transport) cut() {
	socket := t.socket
	for {
		secure, ok := socket.(*tls.Conn)
		if !ok {
			break
		}
		socket = secure.NetConn()
	}
	_ = socket.Close()
}

// countEmits counts the messages that do not belong to one transport only.
func countEmits(queue []outgoing) (count int) {
	for _, out := range queue {
		if out.emit != nil {
			count++
		}
	}
	return count
}

// signal wakes write.
func (t *transport) signal() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// push queues a message.
func (t *transport) push(out outgoing) {
	t.queue = append(t.queue, out)
	t.queued += len(out.payload) + outgoingOverhead
	t.signal()
}

// full reports whether the queue is longer than times the limit.
func (t *transport) full(times int) bool {
	limit := t.conn.options.SendQueue
	return !t.over && limit >= 0 && t.queued > times*limit
}

// waitEased waits until the queue is shorter or the transport is over. The
// caller holds conn.mu, which is released in the meantime.
func (t *transport) waitEased() {
	if t.eased == nil {
		t.eased = make(chan struct{})
	}
	eased := t.eased
	t.conn.mu.Unlock()
	defer t.conn.mu.Lock()
	select {
	case <-eased:
	case <-t.ended:
	}
}

// ease wakes waitEased.
func (t *transport) ease() {
	if t.eased != nil {
		close(t.eased)
		t.eased = nil
	}
}

// prefixedReader reads the bytes that arrived with the handshake and then the
// socket. It enforces the idle timeout.
type prefixedReader struct {
	transport *transport
	buffered  *bufio.Reader // nil: none are left; it is not read beyond its buffer
}

// Read implements io.Reader.
func (r *prefixedReader) Read(p []byte) (int, error) {
	if r.buffered != nil {
		if n := r.buffered.Buffered(); n > 0 {
			return r.buffered.Read(p[:min(len(p), n)])
		}
		r.buffered = nil
	}
	return r.transport.readSocket(p)
}

// readSocket reads from the socket. When the server has been silent for long,
// it sends a ping, and waits for the pong before it fails. Each wait tries to
// read first: a process that was suspended notices its deadlines before it has
// read what arrived in the meantime, and may not have asked yet.
func (t *transport) readSocket(p []byte) (int, error) {
	idle := t.conn.options.IdleTimeout
	waits := [...]time.Duration{idle * 11 / 16, idle / 4, idle / 16}
	for step := 0; ; {
		if idle > 0 {
			_ = t.socket.SetReadDeadline(time.Now().Add(waits[step]))
		}
		n, err := t.socket.Read(p)
		if n > 0 {
			t.alive()
		}
		switch silent := errors.Is(err, os.ErrDeadlineExceeded); {
		case n > 0 || !silent || idle <= 0:
			return n, err
		case t.quiet() < waits[0]:
			step = 0
		case step == len(waits)-1:
			return n, err
		default:
			t.sendPing()
			step++
		}
	}
}

// alive notes a sign of life.
func (t *transport) alive() { t.lastLife.Store(int64(time.Since(t.begun))) }

// quiet returns the time since the last sign of life.
func (t *transport) quiet() time.Duration {
	return time.Since(t.begun) - time.Duration(t.lastLife.Load())
}
