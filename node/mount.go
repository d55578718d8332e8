package node

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/gobwas/ws"
)

// ServeHTTP is the endpoint as an http.Handler: it takes an upgraded connection
// over from net/http, and answers everything else as the endpoint does. The node
// must have been started with Start or Serve. A plain TCP connection moves onto an
// event loop; any other, such as TLS, is served by goroutines. The program's server
// does not know of the connection any more: Shutdown of the node ends it.
//
// A WebSocket needs HTTP/1.1, and a ResponseWriter that can be hijacked: middleware
// that wraps it needs a method Unwrap, as [http.ResponseController] explains.
func (n *Node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	away := n.whyAway()
	switch {
	case r.Method == http.MethodHead && (away != "" || n.draining.Load() || n.full()):
		resetConnection(w)
		return
	case away != "":
		http.Error(w, away, http.StatusServiceUnavailable)
		return
	case r.Method == http.MethodHead:
		// What neffos.js asks before it reconnects; any status satisfies it, and
		// a neffos server gives this one (protocol.md section 1).
		w.WriteHeader(http.StatusFound)
		return
	case r.ProtoMajor != 1:
		// Not 426, which needs a header that HTTP/2 does not have.
		n.refuseHTTP(w, HandshakeBadRequest, http.StatusHTTPVersionNotSupported, "a WebSocket needs HTTP/1.1")
		return
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		n.refuseHTTP(w, HandshakeBadRequest, http.StatusMethodNotAllowed, http.StatusText(http.StatusMethodNotAllowed))
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
	answer, err := answerUpgrade(r)
	if err != nil {
		n.refuseUpgrade(w, err)
		return
	}
	next := n.loops[int(n.nextLoop.Add(1))%len(n.loops)]
	if n.on.accept == nil {
		n.takeOver(w, answer, next, nil)
		return
	}
	if !n.enterHandler() {
		http.Error(w, n.whyAway(), http.StatusServiceUnavailable)
		return
	}
	defer n.handlers.Done()
	a := &Accept{Request: r}
	if n.admits(w, a, next) && !n.takeOver(w, answer, next, a) {
		next.neverOpened(a)
	}
}

// whyAway is why the node serves nobody, "" if it does.
func (n *Node) whyAway() string {
	switch {
	case n.isStopped():
		return "node is closed"
	case n.currentPhase() < phaseServing:
		return "node has not started"
	}
	return ""
}

// admits asks the program about a good request, and answers it if it is refused.
func (n *Node) admits(w http.ResponseWriter, a *Accept, next *loop) bool {
	a.ask(n, next)
	switch {
	case a.err != nil:
		no := refusal(a.err)
		n.refuseHTTP(w, HandshakeRefused, no.Status, no.Reason)
		return false
	case a.late:
		n.refuseHTTP(w, HandshakeTimeout, http.StatusServiceUnavailable, lateReason)
	case n.draining.Load() || n.full():
		n.refuseHTTP(w, HandshakeFull, http.StatusServiceUnavailable, "node is full or draining")
	default:
		return true
	}
	next.neverOpened(a)
	return false
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

// answerUpgrade lets gobwas/ws check the request and write the answer. The
// connection stays where it is: the program, which is asked only about good
// requests, may refuse it.
func answerUpgrade(r *http.Request) (answer []byte, err error) {
	var out answerWriter
	if _, _, _, err := (ws.HTTPUpgrader{}).Upgrade(r, &out); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// answerWriter is a ResponseWriter without a connection.
type answerWriter struct{ bytes.Buffer }

func (*answerWriter) Header() http.Header { return http.Header{} }
func (*answerWriter) WriteHeader(int)     {}

// Hijack implements http.Hijacker.
func (w *answerWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return noConn{}, bufio.NewReadWriter(nil, bufio.NewWriter(w)), nil
}

// noConn is what gobwas/ws clears the deadlines of.
type noConn struct{ net.Conn }

func (noConn) SetDeadline(time.Time) error { return nil }

// refuseUpgrade answers a bad request for an upgrade.
func (n *Node) refuseUpgrade(w http.ResponseWriter, err error) {
	result, status := HandshakeBadRequest, http.StatusBadRequest
	if errors.Is(err, ws.ErrHandshakeUpgradeRequired) || errors.Is(err, ws.ErrHandshakeBadSecVersion) {
		result = HandshakeBadVersion
	}
	var rejected *ws.ConnectionRejectedError
	if errors.As(err, &rejected) && rejected.StatusCode() != 0 {
		status = rejected.StatusCode()
	}
	if status == http.StatusUpgradeRequired {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Sec-WebSocket-Version", "13")
	}
	// Whoever gets this wrong may already have sent frames behind it.
	w.Header().Set("Connection", "close")
	n.refuseHTTP(w, result, status, err.Error())
}

// takeOver gives the connection to the loop, which sends the answer. It reports
// whether it has; if not, the request is answered.
func (n *Node) takeOver(w http.ResponseWriter, answer []byte, to *loop, a *Accept) bool {
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		// A mistake of the program, which every request would bring up again.
		n.hijackWarning.Do(func() {
			n.log.Error("cannot take connections over from the HTTP server: middleware that wraps the ResponseWriter "+
				"needs a method Unwrap", logError, err)
		})
		n.refuseHTTP(w, HandshakeBadRequest, http.StatusInternalServerError,
			"the server cannot open a WebSocket here: its ResponseWriter cannot be hijacked")
		return false
	}
	// net/http has cleared its deadlines; another Hijacker may not.
	_ = nc.SetDeadline(time.Time{})
	head, _ := rw.Reader.Peek(rw.Reader.Buffered())
	head = slices.Clone(head)
	if wrapped, ok := nc.(*readConn); ok {
		// Whoever reads the connection from here on must not get its head again.
		head = append(head, wrapped.head...)
		nc = wrapped.Conn
	}
	if !to.post(item{kind: itemUpgraded, frame: answer, errand: &errand{conn: nc, head: head, accept: a}}) {
		_ = nc.Close()
		return false
	}
	return true
}
