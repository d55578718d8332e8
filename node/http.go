package node

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/gobwas/ws"
)

func itoa(n int) string { return strconv.Itoa(n) }

// handToHTTP gives the connection, with the bytes already read, to net/http.
func (c *conn) handToHTTP(data []byte) {
	l := c.loop
	var nc net.Conn
	head := slices.Clone(data)
	if c.stream != nil {
		var unread []byte
		nc, unread = c.stream.detach()
		head = append(head, unread...)
	} else {
		// The poller must not report a descriptor that another owner uses.
		err := l.poller.remove(int(c.fd))
		if err == nil {
			nc, err = socketConn(int(c.fd))
			c.fd = -1 // given up, also after an error: the number may be in use again
		}
		if err != nil {
			l.log.Warn("cannot hand a connection to net/http", logError, err)
			c.destroy(closeGone, ByServer)
			return
		}
	}
	l.stats.Pending--
	l.stats.HandedToHTTP++
	c.forget()
	l.node.http.give(&readConn{Conn: nc, head: head})
}

// readConn is a connection of which the beginning has been read already.
type readConn struct {
	net.Conn
	head []byte
}

func (c *readConn) Read(p []byte) (int, error) {
	if len(c.head) > 0 {
		n := copy(p, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// CloseWrite is what net/http ends an answer with when it does not read the rest
// of the request: closing at once would reset the connection.
func (c *readConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// httpSide is the net/http server behind the loops: a listener whose connections
// come from them.
type httpSide struct {
	server *http.Server
	addr   net.Addr
	mu     sync.Mutex
	queue  []net.Conn    // guarded by mu
	closed bool          // guarded by mu
	signal chan struct{} // capacity 1: queue or closed has changed
}

func newHTTPSide(n *Node) *httpSide {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == n.config.Endpoint || n.config.Endpoint == "*" && r.Header.Get("Upgrade") != "" {
			n.ServeHTTP(w, r)
			return
		}
		n.config.HTTP.ServeHTTP(w, r)
	})
	return &httpSide{
		signal: make(chan struct{}, 1),
		server: &http.Server{
			Handler:           handler,
			ReadHeaderTimeout: 10 * time.Second,
			ReadTimeout:       time.Minute,
			IdleTimeout:       2 * time.Minute,
			MaxHeaderBytes:    max(n.config.Limits.Header, 0), // of further requests; 0: net/http's default
			ErrorLog:          n.httpErrorLog(),
		},
	}
}

// give never blocks; loops call it.
func (h *httpSide) give(nc net.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		_ = nc.Close()
		return
	}
	h.queue = append(h.queue, nc)
	h.notify()
}

func (h *httpSide) notify() {
	select {
	case h.signal <- struct{}{}:
	default:
	}
}

// Accept implements net.Listener.
func (h *httpSide) Accept() (net.Conn, error) {
	for {
		h.mu.Lock()
		if h.closed {
			h.mu.Unlock()
			h.notify()
			return nil, net.ErrClosed
		}
		if len(h.queue) > 0 {
			nc := h.queue[0]
			h.queue = slices.Delete(h.queue, 0, 1)
			h.mu.Unlock()
			return nc, nil
		}
		h.mu.Unlock()
		<-h.signal
	}
}

// Close implements net.Listener.
func (h *httpSide) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for _, nc := range h.queue {
		_ = nc.Close()
	}
	h.queue = nil
	h.notify()
	return nil
}

// Addr implements net.Listener.
func (h *httpSide) Addr() net.Addr { return h.addr }

// ServeHTTP is the endpoint as an http.Handler: it takes an upgraded connection
// over from net/http, and answers everything else as the endpoint does. A plain
// TCP connection moves onto an event loop; any other, such as TLS, is served by
// goroutines.
func (n *Node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case n.isStopped():
		http.Error(w, "node is closed", http.StatusServiceUnavailable)
		return
	case n.currentPhase() < phaseServing:
		http.Error(w, "node has not started", http.StatusServiceUnavailable)
		return
	case r.Method == http.MethodHead && (n.draining.Load() || n.full()):
		resetConnection(w)
		return
	case r.Method == http.MethodHead:
		// What neffos.js asks before it reconnects; any status satisfies it, and
		// a neffos server gives this one (protocol.md section 1).
		w.WriteHeader(http.StatusFound)
		return
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		n.refuseHTTP(w, HandshakeBadRequest, http.StatusMethodNotAllowed, http.StatusText(http.StatusMethodNotAllowed))
		return
	case r.ProtoMajor != 1:
		n.refuseHTTP(w, HandshakeBadRequest, http.StatusBadRequest, "a WebSocket needs HTTP/1.1")
		return
	case r.Header.Get("Upgrade") == "":
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Sec-WebSocket-Version", "13")
		n.refuseHTTP(w, HandshakeBadRequest, http.StatusUpgradeRequired, "this is a WebSocket endpoint")
		return
	case !n.allowsOrigins(r):
		n.refuseHTTP(w, HandshakeForbiddenOrigin, http.StatusForbidden, "origin not allowed")
		return
	case n.draining.Load() || n.full():
		n.refuseHTTP(w, HandshakeFull, http.StatusServiceUnavailable, "node is full or draining")
		return
	}
	next := n.loops[int(n.nextLoop.Add(1))%len(n.loops)]
	var a *Accept
	if n.on.accept != nil {
		a = &Accept{Request: r}
		if a.ask(n, next); a.err != nil {
			no := refusal(a.err)
			n.refuseHTTP(w, HandshakeRefused, no.Status, no.Reason)
			return
		}
	}
	if !n.upgradeHTTP(w, r, next, a) && a != nil {
		next.neverOpened(a)
	}
}

// resetConnection answers the probe of a neffos.js client that wants to reconnect
// to a node that cannot take it. Any HTTP answer would make it dial, and one
// failed dial ends its reconnecting for good; a reset makes it probe again later.
func resetConnection(w http.ResponseWriter) {
	nc, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if taken, ok := nc.(*readConn); ok {
		nc = taken.Conn
	}
	if tcp, ok := nc.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = nc.Close()
}

func (n *Node) allowsOrigins(r *http.Request) bool {
	origins := r.Header.Values("Origin")
	return len(origins) == 0 || len(origins) == 1 && n.allowsOrigin(origins[0], r.Host)
}

func (n *Node) refuseHTTP(w http.ResponseWriter, result HandshakeResult, status int, reason string) {
	n.handshakes[result].Add(1)
	http.Error(w, reason, status)
}

// upgradeHTTP lets gobwas/ws check the request and write the answer, and gives
// the socket to the loop. It reports whether it has.
func (n *Node) upgradeHTTP(w http.ResponseWriter, r *http.Request, to *loop, a *Accept) bool {
	// gobwas/ws finds the Hijacker by a type assertion, which middleware that
	// wraps the writer defeats; http.ResponseController unwraps.
	nc, rw, _, err := ws.HTTPUpgrader{}.Upgrade(r, hijackable{w, http.NewResponseController(w)})
	if err != nil {
		result := HandshakeBadRequest
		if errors.Is(err, ws.ErrHandshakeUpgradeRequired) || errors.Is(err, ws.ErrHandshakeBadSecVersion) {
			result = HandshakeBadVersion
		}
		n.handshakes[result].Add(1)
		if nc != nil {
			_ = nc.Close() // gobwas/ws leaves a refused connection open
		}
		return false
	}
	head, _ := rw.Reader.Peek(rw.Reader.Buffered())
	if wrapped, ok := nc.(*readConn); ok {
		// Whoever reads the connection from here on must not get its head again.
		head = append(slices.Clone(head), wrapped.head...)
		nc = wrapped.Conn
	}
	if !to.post(item{kind: itemUpgraded, errand: &errand{conn: nc, head: slices.Clone(head), accept: a}}) {
		_ = nc.Close()
		return false
	}
	return true
}

// hijackable is a ResponseWriter whose Hijack finds the one that is wrapped.
type hijackable struct {
	http.ResponseWriter
	controller *http.ResponseController
}

func (w hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.controller.Hijack() }
