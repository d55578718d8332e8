package engine

import (
	"maps"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/stoa-io/stoa/internal/addresses"
	"github.com/stoa-io/stoa/internal/netpoll"
)

// ServeHTTP is the endpoint as an http.Handler: it takes an upgraded connection
// over from net/http, and answers everything else as the endpoint does. A plain
// TCP connection moves onto an event loop; any other, such as TLS, uses
// blocking I/O.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	unavailable := s.unavailable()
	switch {
	case r.Method == http.MethodHead && !s.answersProbe():
		resetConnection(w)
		return
	case r.Method == http.MethodHead:
		// The probe of neffos.js before it reconnects; any status satisfies it,
		// and a neffos server sends this one (protocol.md section 1).
		w.WriteHeader(http.StatusFound)
		return
	case unavailable != "":
		http.Error(w, unavailable, http.StatusServiceUnavailable)
		return
	case r.ProtoMajor != 1:
		// Not 426, which needs a header that HTTP/2 does not have.
		s.refuseHTTP(w, r, HandshakeBadRequest, http.StatusHTTPVersionNotSupported, "a WebSocket needs HTTP/1.1")
		return
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		s.refuseHTTP(w, r, HandshakeBadRequest, http.StatusMethodNotAllowed, http.StatusText(http.StatusMethodNotAllowed))
		return
	case len(r.Header.Values("Upgrade")) == 0:
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Sec-WebSocket-Version", "13")
		s.refuseHTTP(w, r, HandshakeBadRequest, http.StatusUpgradeRequired, "this is a WebSocket endpoint")
		return
	}
	if remote := s.clientAddr(r.RemoteAddr, r.Header.Values); remote != r.RemoteAddr {
		r = r.WithContext(r.Context()) // a copy: the request is the application's
		r.RemoteAddr = remote
	}
	var u upgradeRequest
	u.of(r)
	if no := s.judge(&u); no.status != 0 {
		maps.Copy(w.Header(), no.header())
		s.refuseHTTP(w, r, no.result, no.status, no.reason)
		return
	}
	next := s.loops[int(s.nextLoop.Add(1))%len(s.loops)]
	entry, limited := s.enter(&u, r.RemoteAddr, s.elapsed())
	if limited != nil {
		if s.admits(w, r, limited) {
			s.takeOver(w, r, &adoptTask{answer: limited.extend(u.answer()), decision: *limited}, next)
		}
		return
	}
	s.upgrade(w, r, &u, next, entry)
}

// upgrade opens the WebSocket of a good request, unless the Upgrader refuses.
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request, u *upgradeRequest, next *Loop, entry *addresses.Entry) {
	opened := false
	defer func() {
		if !opened {
			s.leave(entry)
		}
	}()
	upgrader := s.upgrader
	if upgrader == nil {
		opened = s.takeOver(w, r, &adoptTask{answer: s.accept(u), entry: entry, remote: r.RemoteAddr}, next)
		return
	}
	if !upgrader.Begin() {
		http.Error(w, s.unavailable(), http.StatusServiceUnavailable)
		return
	}
	defer upgrader.Done()
	d := upgrader.Upgrade(r, next)
	opened = s.admits(w, r, &d) && s.takeOver(w, r, &adoptTask{answer: d.extend(u.answer()), decision: d, entry: entry, remote: r.RemoteAddr}, next)
	if !opened && d.Status == 0 {
		upgrader.NotOpened(next, d.Value)
	}
}

// unavailable says why the server cannot serve, "" if it can.
func (s *Server) unavailable() string {
	switch {
	case s.isStopped():
		return "node is closed"
	case !s.started.Load():
		return "node has not started"
	}
	return ""
}

// admits reports whether a WebSocket opens, and answers the request otherwise.
func (s *Server) admits(w http.ResponseWriter, r *http.Request, d *Decision) bool {
	switch {
	case d.Status != 0 && !d.Explain:
		maps.Copy(w.Header(), d.Header)
		s.refuseHTTP(w, r, d.refusal().result, d.Status, d.Reason)
	case d.Status == 0 && d.Late:
		s.refuseHTTP(w, r, HandshakeTimeout, http.StatusServiceUnavailable, lateReason)
	case s.Draining() || d.Status == 0 && s.Full():
		s.refuseHTTP(w, r, HandshakeFull, http.StatusServiceUnavailable, unusableReason)
	default:
		return true
	}
	return false
}

// resetConnection answers the probe of a neffos.js client that wants to
// reconnect to a server that cannot take it. Any HTTP answer would make it
// dial, and one failed dial ends its reconnecting for good; a reset makes it
// probe again later.
func resetConnection(w http.ResponseWriter) {
	nc, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if taken, ok := nc.(*prefixedConn); ok {
		nc = taken.Conn
	}
	if tcp, ok := netpoll.SocketOf(nc).(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = nc.Close()
}

func (s *Server) refuseHTTP(w http.ResponseWriter, r *http.Request, result HandshakeResult, status int, reason string) {
	s.handshakes[result].Add(1)
	s.refused(refusal{result, status, reason}, r.RemoteAddr, []byte(r.Host), []byte(r.Header.Get("Origin")))
	http.Error(w, reason, status)
}

// takeOver gives the connection to the loop, which sends the answer. It reports
// false if it could not; the request is answered then.
func (s *Server) takeOver(w http.ResponseWriter, r *http.Request, t *adoptTask, to *Loop) bool {
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		// A mistake of the application, which every request would bring up
		// again.
		s.hijackWarning.Do(func() {
			s.log.Error("cannot take connections over from the HTTP server: middleware that wraps the ResponseWriter "+
				"needs a method Unwrap", logError, err)
		})
		s.refuseHTTP(w, r, HandshakeBadRequest, http.StatusInternalServerError,
			"the server cannot open a WebSocket here: its ResponseWriter cannot be hijacked")
		return false
	}
	// net/http has cleared its deadlines; another Hijacker may not.
	_ = nc.SetDeadline(time.Time{})
	head, _ := rw.Reader.Peek(rw.Reader.Buffered())
	t.head = slices.Clone(head)
	if wrapped, ok := nc.(*prefixedConn); ok {
		// The next reader of the connection must not get its head again.
		t.head = append(t.head, wrapped.head...)
		nc = wrapped.Conn
	}
	t.conn = nc
	if !to.post(t) {
		_ = nc.Close()
		return false
	}
	return true
}

// adoptTask gives a loop a connection from net/http, with the answer to its
// good request and the bytes that arrived after that request.
type adoptTask struct {
	conn     net.Conn
	answer   []byte
	head     []byte
	remote   string   // the client's address
	decision Decision // zero without an Upgrader
	entry    *addresses.Entry
}

func (t *adoptTask) run(l *Loop) {
	var c *Conn
	if fd, ok := l.server.plainSocket(t.conn); ok {
		_ = t.conn.Close() // the descriptor is a duplicate
		c = l.addSocket(fd)
	} else {
		c = l.addBlocking(t.conn)
	}
	if c == nil {
		t.notOpened(l)
		return
	}
	c.keepEntry(t.entry)
	c.SetRemoteAddr(t.remote)
	c.Send(t.answer, 0)
	c.begin(&t.decision)
	if l.drain.active {
		c.Close(l.drain.code, l.drain.reason)
	}
	if len(t.head) > 0 {
		c.in = t.head
		l.shareTurn()
		c.continueKept()
	}
}

func (t *adoptTask) dropped(l *Loop) {
	_ = t.conn.Close()
	t.notOpened(l)
}

func (t *adoptTask) notOpened(l *Loop) {
	l.server.leave(t.entry)
	if upgrader := l.server.upgrader; upgrader != nil && t.decision.Status == 0 {
		upgrader.NotOpened(l, t.decision.Value)
	}
}

// plainSocket returns a descriptor for a TCP connection that an epoll loop can
// serve.
func (s *Server) plainSocket(nc net.Conn) (fd int, ok bool) {
	if !s.epoll {
		return -1, false
	}
	tcp, is := nc.(*net.TCPConn)
	if !is {
		return -1, false
	}
	fd, err := netpoll.Take(tcp)
	return fd, err == nil
}
