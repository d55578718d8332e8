package engine

import (
	"container/list"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stoa-io/stoa/internal/netpoll"
)

// handToHTTP gives the connection, with the bytes already read, to net/http.
func (c *Conn) handToHTTP(data []byte) {
	l := c.loop
	var nc net.Conn
	var remote net.Addr
	if c.rare != nil && c.rare.remote != "" {
		remote = clientAddress(c.rare.remote)
	}
	head := slices.Clone(data)
	if c.blocking != nil {
		var unread []byte
		nc, unread = c.blocking.detach()
		head = append(head, unread...)
	} else {
		// The poller must not report a descriptor of another owner.
		err := l.poller.Remove(int(c.fd))
		if err == nil {
			nc, err = netpoll.Conn(int(c.fd))
			c.fd = -1 // given up, also after an error: the number may be in use again
		}
		if err != nil {
			l.log.Warn("cannot hand a connection to net/http", logError, err)
			c.destroy(neverOpen, ByServer)
			return
		}
	}
	l.stats.Pending--
	l.stats.HandedToHTTP++
	c.forget()
	l.server.http.give(&prefixedConn{Conn: nc, head: head, remote: remote, timeouts: &l.server.httpTimeouts})
}

// prefixedConn is a connection of which the first bytes were read already.
type prefixedConn struct {
	net.Conn
	head   []byte
	remote net.Addr // the client's, if a proxy has named it before the request; else nil

	timeouts *atomic.Uint64 // counts answers that were not taken in time
}

// RemoteAddr implements net.Conn.
func (c *prefixedConn) RemoteAddr() net.Addr {
	if c.remote != nil {
		return c.remote
	}
	return c.Conn.RemoteAddr()
}

// clientAddress is the address of a client in the form of RemoteAddr.
type clientAddress string

// Network implements net.Addr.
func (clientAddress) Network() string { return "tcp" }

// String implements net.Addr.
func (a clientAddress) String() string { return string(a) }

func (c *prefixedConn) Read(p []byte) (int, error) {
	if len(c.head) > 0 {
		n := copy(p, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// Write implements net.Conn. After its deadline net/http closes the connection
// without a notice.
func (c *prefixedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		c.timeouts.Add(1)
	}
	return n, err
}

// CloseWrite lets net/http end an answer without reading the rest of the
// request: closing at once would reset the connection.
func (c *prefixedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// httpSide is the net/http server behind the loops: a listener that gets its
// connections from them.
type httpSide struct {
	server *http.Server
	addr   net.Addr

	mu     sync.Mutex
	conns  map[net.Conn]*list.Element // guarded by mu; of *httpConn, those that are not hijacked
	idle   list.List                  // guarded by mu; wait for the next request, longest first
	active list.List                  // guarded by mu; are served, longest first
	queue  []net.Conn                 // guarded by mu
	closed bool                       // guarded by mu
	signal chan struct{}              // capacity 1: queue or closed has changed
}

func newHTTPSide(s *Server) *httpSide {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil {
			r.TLS, _ = r.Context().Value(tlsStateKey{}).(*tls.ConnectionState)
		}
		if r.URL.Path == s.config.Endpoint || s.config.Endpoint == "*" && r.Header.Get("Upgrade") != "" {
			s.ServeHTTP(w, r)
			return
		}
		r.RemoteAddr = s.clientAddr(r.RemoteAddr, r.Header.Values)
		if !s.allowed.Load().Hosts.Allows(r.Host) && !slices.Contains(s.config.AnyHost, r.URL.Path) {
			s.refused(refusal{HandshakeForbiddenHost, http.StatusMisdirectedRequest, hostReason}, r.RemoteAddr, []byte(r.Host), nil)
			http.Error(w, hostReason, http.StatusMisdirectedRequest)
			return
		}
		s.config.HTTP.ServeHTTP(w, r)
	})
	h := &httpSide{
		signal: make(chan struct{}, 1),
		conns:  make(map[net.Conn]*list.Element),
		server: &http.Server{
			Handler:           handler,
			ReadHeaderTimeout: 10 * time.Second,
			ReadTimeout:       time.Minute,
			WriteTimeout:      time.Minute, // a handler may extend it, see http.ResponseController
			IdleTimeout:       2 * time.Minute,
			MaxHeaderBytes:    max(s.config.Limits.Header, 0), // of further requests; 0: net/http's default
			ErrorLog:          httpErrorLog(s.log),
			ConnContext:       withTLSState,
		},
	}
	h.server.ConnState = h.track
	return h
}

// httpConn is a connection of net/http.
type httpConn struct {
	conn  net.Conn
	in    *list.List
	since time.Time // when it entered the list
}

// track follows the connections, for http.Server.ConnState.
func (h *httpSide) track(nc net.Conn, state http.ConnState) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e := h.conns[nc]; e != nil {
		e.Value.(*httpConn).in.Remove(e)
		delete(h.conns, nc)
	}
	in := &h.active
	switch state {
	case http.StateClosed, http.StateHijacked:
		return
	case http.StateIdle:
		in = &h.idle
	case http.StateNew, http.StateActive:
	}
	h.conns[nc] = in.PushBack(&httpConn{nc, in, time.Now()})
}

// requestGrace is how long a request is served before its connection may be
// closed to make room. Clients that send or read slowly could keep it for
// minutes.
const requestGrace = 2 * time.Second

// oldest returns the connection to close when the descriptors are used up: the
// one that has been idle for longest, or else the one whose request has taken
// longest. It is nil if there is none.
func (h *httpSide) oldest(now time.Time) net.Conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.idle.Front()
	if e == nil {
		if e = h.active.Front(); e == nil || now.Sub(e.Value.(*httpConn).since) < requestGrace {
			return nil
		}
	}
	c := e.Value.(*httpConn)
	c.in.Remove(e)
	delete(h.conns, c.conn)
	return c.conn
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
