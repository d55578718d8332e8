package engine

import (
	"bytes"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gobwas/ws"
)

var endOfHead = []byte("\r\n\r\n")

// Reasons that refused clients receive.
const (
	fullReason     = "node is full"
	drainingReason = "node is draining"
	unusableReason = "node is full or draining"
	originReason   = "origin not allowed"
	lateReason     = "the request was not decided in time"
)

// upgradeState collects the results of the upgrader's callbacks for one
// request. The slices are views into the request.
type upgradeState struct {
	in      []byte // the rest of the request head
	out     []byte // the answer
	host    []byte
	origin  []byte
	origins int
	result  HandshakeResult
}

func (u *upgradeState) Read(p []byte) (int, error) {
	n := copy(p, u.in)
	u.in = u.in[n:]
	return n, nil
}

func (u *upgradeState) Write(p []byte) (int, error) {
	u.out = append(u.out, p...)
	return len(p), nil
}

// handshake looks for a whole request head at the front of data, answers it or
// hands the connection to net/http, and returns how many bytes it has used.
func (c *Conn) handshake(data []byte) int {
	l := c.loop
	end := bytes.Index(data, endOfHead)
	if limit := l.limits.Header; limit > 0 && (end > limit || end < 0 && len(data) >= limit+len(endOfHead)) {
		l.stats.Handshakes[HandshakeHeaderTooLarge]++
		c.refuse(http.StatusRequestHeaderFieldsTooLarge, "request head too large")
		return len(data)
	}
	if end < 0 {
		return 0
	}
	end += len(endOfHead)
	if !l.server.wantsUpgrade(data[:end]) {
		c.handToHTTP(data)
		return len(data)
	}
	u := &l.upgrade
	*u = upgradeState{in: data[:end], out: u.out[:0], result: HandshakeBadRequest}
	_, err := l.upgrader.Upgrade(u)
	if err != nil {
		l.countRefusal(u.result, err)
		if len(u.out) == 0 {
			// gobwas/ws does not answer a request line that it cannot parse.
			c.refuse(http.StatusBadRequest, "malformed HTTP request")
			return len(data)
		}
		c.refuseWith(bytes.Clone(u.out))
		return len(data)
	}
	if l.server.upgrader != nil {
		c.decide(data[:end], u.out)
		return end
	}
	c.Send(bytes.Clone(u.out), 0)
	c.opened(nil)
	return end
}

func (l *Loop) countRefusal(result HandshakeResult, err error) {
	if err == ws.ErrHandshakeUpgradeRequired || err == ws.ErrHandshakeBadSecVersion {
		result = HandshakeBadVersion
	}
	l.stats.Handshakes[result]++
}

// initUpgrader prepares the handshake of gobwas/ws, which checks the request
// and writes the answer. The callbacks add the server's own rules.
func (l *Loop) initUpgrader() {
	u := &l.upgrade
	l.upgrader = ws.Upgrader{
		ReadBufferSize: max(l.limits.Header, 4<<10),
		OnHost: func(host []byte) error {
			u.host = host
			return nil
		},
		OnHeader: func(key, value []byte) error {
			if strings.EqualFold(string(key), "Origin") {
				u.origin = value
				u.origins++
			}
			return nil
		},
		OnBeforeUpgrade: func() (ws.HandshakeHeader, error) {
			switch {
			case u.origins > 1 || u.origins == 1 && !l.server.allowsOrigin(string(u.origin), string(u.host)):
				u.result = HandshakeForbiddenOrigin
				return nil, reject(http.StatusForbidden, originReason)
			case l.drain.active:
				u.result = HandshakeFull
				return nil, reject(http.StatusServiceUnavailable, drainingReason)
			case l.server.Full():
				u.result = HandshakeFull
				return nil, reject(http.StatusServiceUnavailable, fullReason)
			}
			return nil, nil
		},
	}
}

func reject(status int, reason string) error {
	return ws.RejectConnectionError(ws.RejectionStatus(status), ws.RejectionReason(reason+"\n"))
}

// wantsUpgrade reports whether a request is for the WebSocket endpoint: a GET
// for its path with an Upgrade header. gobwas/ws checks the rest.
func (s *Server) wantsUpgrade(head []byte) bool {
	rest, ok := bytes.CutPrefix(head, []byte("GET "))
	if !ok {
		return false
	}
	target, _, _ := bytes.Cut(rest, []byte(" "))
	path, _, _ := bytes.Cut(target, []byte("?"))
	if s.config.Endpoint != "*" && string(path) != s.config.Endpoint {
		return false
	}
	for line := range bytes.Lines(head) {
		key, _, found := bytes.Cut(line, []byte(":"))
		if found && len(key) == len("upgrade") && bytes.EqualFold(key, []byte("upgrade")) {
			return true
		}
	}
	return false
}

// allowsOrigin is the check of RFC 6455 section 10.2: pages of the host itself
// and of the configured origins may connect. Browsers always name the origin.
func (s *Server) allowsOrigin(origin, host string) bool {
	for _, allowed := range s.config.AllowOrigins {
		if allowed == "*" || strings.EqualFold(allowed, origin) {
			return true
		}
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, host)
}

// refuse answers a request that is not worth parsing, and closes.
func (c *Conn) refuse(status int, reason string) { c.refuseWith(refusalAnswer(status, reason)) }

// refusalAnswer is the last answer on a connection.
func refusalAnswer(status int, reason string) []byte {
	body := reason + "\n"
	head := http.Header{
		"Content-Type":   {"text/plain; charset=utf-8"},
		"Content-Length": {strconv.Itoa(len(body))},
		"Connection":     {"close"},
	}
	var answer bytes.Buffer
	answer.WriteString("HTTP/1.1 " + strconv.Itoa(status) + " " + http.StatusText(status) + "\r\n")
	_ = head.Write(&answer)
	answer.WriteString("\r\n" + body)
	return answer.Bytes()
}

// refuseWith sends the answer, closes this side, and waits until the peer has
// read it: closing at once would reset the connection if unread bytes are left.
func (c *Conn) refuseWith(answer []byte) {
	c.state = connDiscarding
	c.flags |= flagHalfClose
	c.SetDeadline(max(c.loop.times.close, 1))
	c.Send(answer, 0)
}
