package engine

import (
	"bytes"
	"net/http"
	"strconv"

	"github.com/stoa-io/stoa/internal/peeraddr"
)

// Reasons that refused clients receive.
const (
	fullReason     = "node is full"
	drainingReason = "node is draining"
	unusableReason = "node is full or draining"
	originReason   = "origin not allowed"
	hostReason     = "host not allowed"
	lateReason     = "the request was not decided in time"
)

// maxEndOfHead is the size of the longest end of a head in bytes.
const maxEndOfHead = len("\r\n\r\n")

// endOfHead returns the size of a request head without and with the empty line
// after it, -1 while there is none. Lines may end in LF alone, as for net/http
// (RFC 9112 section 2.2).
func endOfHead(data []byte) (size, end int) {
	for at := 0; ; at++ {
		next := bytes.IndexByte(data[at:], '\n')
		if next < 0 {
			return -1, -1
		}
		at += next
		switch rest := data[at+1:]; {
		case bytes.HasPrefix(rest, []byte("\n")):
			end = at + 2
		case bytes.HasPrefix(rest, []byte("\r\n")):
			end = at + 3
		default:
			continue
		}
		if at > 0 && data[at-1] == '\r' {
			at--
		}
		return at, end
	}
}

// handshake looks for a whole request head at the front of data, answers it or
// hands the connection to net/http, and returns how many bytes it has used.
func (c *Conn) handshake(data []byte) int {
	l := c.loop
	size, end := endOfHead(data)
	if limit := l.limits.Header; limit > 0 && (size > limit || size < 0 && len(data) >= limit+maxEndOfHead) {
		c.turnAway(HandshakeHeaderTooLarge, http.StatusRequestHeaderFieldsTooLarge, "request head too large")
		return len(data)
	}
	if size < 0 {
		return 0
	}
	if !l.server.wantsUpgrade(data[:end]) {
		c.handToHTTP(data)
		return len(data)
	}
	if l.server.readsField() {
		c.SetRemoteAddr(l.server.clientAddr(c.RemoteAddr(), func(name string) []string { return fieldValues(data[:end], name) }))
	}
	u := &l.upgrade
	u.parse(data[:end])
	u.secure = c.blocking != nil && isTLS(c.blocking.conn)
	if no := l.server.judge(u); no.status != 0 {
		l.stats.Handshakes[no.result]++
		l.server.refused(no, c.RemoteAddr(), u.host, u.origin)
		c.refuseWith(refusalAnswer(no.status, no.reason, no.header()))
		return len(data)
	}
	if l.server.addresses != nil { // else the address is not looked up
		entry, limited := l.server.enter(u, c.RemoteAddr(), l.now)
		if limited != nil {
			c.refuseAddress(limited, u.answer())
			return end
		}
		c.keepEntry(entry)
	}
	if l.server.upgrader != nil {
		c.decide(data[:end], u.answer())
		return end
	}
	c.Send(l.server.accept(u), 0)
	c.opened(nil)
	return end
}

// fieldValues returns the values of a field of a request head, as net/http
// would.
func fieldValues(head []byte, name string) (values []string) {
	for line := range bytes.Lines(head) {
		key, value, found := bytes.Cut(line, []byte(":"))
		if found && len(key) == len(name) && bytes.EqualFold(key, []byte(name)) {
			values = append(values, string(bytes.TrimSpace(value)))
		}
	}
	return values
}

// readsField reports whether a field of requests may name their clients.
func (s *Server) readsField() bool {
	return s.config.ProxyField != peeraddr.NoField && !s.allowed.Load().Proxies.Empty()
}

// clientAddr returns the address of the client that sent a request, "host:port"
// with port 0 if it is not known: that of the peer, or the one that a trusted
// proxy names in its field. values returns the values of a field.
func (s *Server) clientAddr(peer string, values func(field string) []string) string {
	proxies := &s.allowed.Load().Proxies
	if !s.readsField() || !proxies.ContainsPeer(peer) {
		return peer
	}
	client, ok := s.config.ProxyField.Client(values(s.config.ProxyField.Name()), proxies)
	if !ok {
		s.proxyFailed(ProxyField, peer)
	}
	if !client.IsValid() {
		return peer
	}
	return client.String()
}

// proxyHeader looks for a whole header of the PROXY protocol at the front of
// data, and returns its size.
func (c *Conn) proxyHeader(data []byte) int {
	client, size, err := peeraddr.ParseProxy(data)
	if err != nil {
		c.loop.stats.Handshakes[HandshakeAborted]++
		c.loop.server.proxyFailed(ProxyHeader, c.RemoteAddr())
		c.destroy(neverOpen, ByServer)
		return len(data)
	}
	if size > 0 {
		c.state = connHandshake
		if client.IsValid() {
			c.SetRemoteAddr(client.String())
		}
	}
	return size
}

// proxyFailed counts and logs that a proxy has not named its client. A mistake
// in the configuration of the proxy concerns all of its connections.
func (s *Server) proxyFailed(kind ProxyError, peer string) {
	s.proxyErrors[kind].Add(1)
	s.refusals.warn("proxy "+kind.String(), kind.message(), logPeer, peer)
}

// wantsUpgrade reports whether a request is for the WebSocket endpoint: a GET
// for its path with an Upgrade header.
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

// refusalAnswer is the last answer on a connection. It adds to the header.
func refusalAnswer(status int, reason string, header http.Header) []byte {
	body := reason + "\n"
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	var answer bytes.Buffer
	answer.WriteString("HTTP/1.1 " + strconv.Itoa(status) + " " + http.StatusText(status) + "\r\n")
	_ = header.Write(&answer)
	answer.WriteString("\r\n" + body)
	return answer.Bytes()
}

// refuseWith sends the answer, closes this side, and waits until the peer has
// read it: closing at once would reset the connection if unread bytes are left.
func (c *Conn) refuseWith(answer []byte) {
	c.state = connDiscarding
	c.setPending(true)
	c.flags |= flagHalfClose
	c.SetDeadline(max(c.loop.times.close, 1))
	c.Send(answer, 0)
}
