package node

import (
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
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
		if r.TLS == nil {
			r.TLS, _ = r.Context().Value(tlsStateKey{}).(*tls.ConnectionState)
		}
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
			ConnContext:       withTLSState,
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
