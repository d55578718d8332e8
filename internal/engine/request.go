package engine

import (
	"bufio"
	"bytes"
	"crypto/sha1" // the handshake of RFC 6455 uses it, not for secrecy
	"encoding/base64"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/gobwas/ws"
)

// upgradeRequest is the part of a request that decides about its upgrade. Both
// parsers fill it, that of the loops and net/http, so that one check holds for
// both. The slices are views into the request.
type upgradeRequest struct {
	malformed    bool
	secure       bool // over TLS
	major, minor int

	host, origin, key, version     []byte // the last line of each
	hosts, origins, keys, versions int    // how many lines there are
	protocols                      []string
	websocket                      bool // Upgrade has this element
	upgrade                        bool // Connection has this element
	body                           bool // the request announces one
	returning                      bool // a neffos.js client reconnects
}

// returningParameter is how neffos.js sends the field X-Websocket-Reconnect
// from a browser, where a WebSocket has no fields of its own.
const returningParameter = "X-Websocket-Header-X-Websocket-Reconnect="

// parse fills the request from its head, which ends with an empty line.
func (u *upgradeRequest) parse(head []byte) {
	*u = upgradeRequest{malformed: true}
	for line := range bytes.Lines(head) {
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		if u.malformed {
			if !u.parseRequestLine(line) {
				return
			}
			u.malformed = false
			continue
		}
		if len(line) == 0 {
			return
		}
		name, value, found := bytes.Cut(line, []byte(":"))
		if !found || !isToken(name) || bytes.ContainsFunc(value, isControl) {
			u.malformed = true
			return
		}
		u.add(name, bytes.Trim(value, " \t"))
	}
}

func (u *upgradeRequest) parseRequestLine(line []byte) bool {
	parts := bytes.Split(line, []byte(" "))
	if len(parts) != 3 || len(parts[1]) == 0 {
		return false
	}
	var ok bool
	u.major, u.minor, ok = http.ParseHTTPVersion(string(parts[2]))
	_, query, _ := bytes.Cut(parts[1], []byte("?"))
	u.returning = bytes.Contains(query, []byte(returningParameter))
	return ok
}

// readRequest returns the request of a head that upgradeRequest.check has
// passed, as http.ReadRequest does: without a body. The common ones are read
// here, in a third of the time.
func readRequest(head []byte) (*http.Request, error) {
	if r := quickRequest(head); r != nil {
		return r, nil
	}
	return http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
}

// quickRequest returns nil for a request that net/http has to read: one with a
// fault, or with a field that concerns a body or the end of the connection.
func quickRequest(head []byte) *http.Request {
	line, rest, _ := bytes.Cut(head, []byte("\n"))
	method, line, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\r")), []byte(" "))
	target, version, _ := bytes.Cut(line, []byte(" "))
	if string(method) != http.MethodGet || !bytes.HasPrefix(target, []byte("/")) || string(version) != "HTTP/1.1" {
		return nil
	}
	r := &http.Request{
		Method: http.MethodGet, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		RequestURI: string(target), Body: http.NoBody,
	}
	var err error
	if r.URL, err = url.ParseRequestURI(r.RequestURI); err != nil {
		return nil
	}
	count := bytes.Count(rest, []byte("\n")) // more than there are
	r.Header = make(http.Header, count)
	values := make([]string, count)
	for line := range bytes.Lines(rest) {
		key, value, found := bytes.Cut(line, []byte(":"))
		if !found {
			break // the empty line
		}
		value = bytes.Trim(value, " \t\r\n")
		name, text := textproto.CanonicalMIMEHeaderKey(string(key)), string(value)
		switch name {
		case "Host":
			r.Host = text
			continue
		case "Content-Length", "Transfer-Encoding", "Trailer":
			return nil
		case "Connection":
			if hasElement(value, "close") {
				return nil
			}
		}
		if all := r.Header[name]; all != nil {
			r.Header[name] = append(all, text)
			continue
		}
		values[0] = text
		r.Header[name], values = values[:1:1], values[1:]
	}
	if pragma := r.Header["Pragma"]; len(pragma) > 0 && pragma[0] == "no-cache" && r.Header["Cache-Control"] == nil {
		r.Header["Cache-Control"] = []string{"no-cache"} // RFC 9111 section 5.4
	}
	return r
}

// of fills the request from one that net/http has parsed.
func (u *upgradeRequest) of(r *http.Request) {
	*u = upgradeRequest{major: r.ProtoMajor, minor: r.ProtoMinor, secure: r.TLS != nil}
	u.returning = strings.Contains(r.URL.RawQuery, returningParameter)
	if r.Host != "" {
		u.add([]byte("Host"), []byte(r.Host))
	}
	for name, values := range r.Header {
		for _, value := range values {
			u.add([]byte(name), []byte(value))
		}
	}
	// net/http takes these fields out of the header.
	u.body = u.body || len(r.TransferEncoding) > 0 || r.ContentLength != 0
}

// add takes one line of the header.
func (u *upgradeRequest) add(name, value []byte) {
	is := func(want string) bool { return len(name) == len(want) && strings.EqualFold(string(name), want) }
	switch {
	case is("Host"):
		u.host = value
		u.hosts++
	case is("Origin"):
		u.origin = value
		u.origins++
	case is("Upgrade"):
		u.websocket = u.websocket || hasElement(value, "websocket")
	case is("Connection"):
		u.upgrade = u.upgrade || hasElement(value, "upgrade")
	case is("Sec-WebSocket-Version"):
		u.version = value
		u.versions++
	case is("Sec-WebSocket-Key"):
		u.key = value
		u.keys++
	case is("Sec-WebSocket-Protocol"):
		u.protocols = append(u.protocols, string(value))
	case is("X-Websocket-Reconnect"):
		u.returning = true
	case is("Transfer-Encoding"):
		u.body = true
	case is("Content-Length"):
		u.body = u.body || len(bytes.Trim(value, "0")) > 0
	}
}

// hasElement looks for an element of a list without regard to case. A field's
// list may also be spread over several lines (RFC 9110 section 5.3).
func hasElement(list []byte, want string) bool {
	for element := range bytes.SplitSeq(list, []byte(",")) {
		if element = bytes.Trim(element, " \t"); len(element) == len(want) && strings.EqualFold(string(element), want) {
			return true
		}
	}
	return false
}

// isToken reports whether a field may have the name. A space before the colon
// or at the front of a line, which continues the line before, is an error.
func isToken(name []byte) bool {
	for _, b := range name {
		switch {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9', strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0:
		default:
			return false
		}
	}
	return len(name) > 0
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// refusal is the answer to a request that does not become a WebSocket. The
// status of a good request is 0.
type refusal struct {
	result HandshakeResult
	status int
	reason string
}

// The versions of the protocol that the server speaks.
const supportedVersion = "13"

// check is the check of RFC 6455 section 4.2.1. A body or a field that would be
// ambiguous is an error: a proxy might read the request in another way.
func (u *upgradeRequest) check() refusal {
	bad := func(err error) refusal { return refusal{HandshakeBadRequest, http.StatusBadRequest, err.Error()} }
	switch {
	case u.malformed:
		return bad(ws.ErrMalformedRequest)
	case u.major != 1 || u.minor < 1:
		return refusal{HandshakeBadRequest, http.StatusHTTPVersionNotSupported, ws.ErrHandshakeBadProtocol.Error()}
	case u.hosts != 1 || len(u.host) == 0:
		return bad(ws.ErrHandshakeBadHost)
	case u.body:
		return refusal{HandshakeBadRequest, http.StatusBadRequest, "handshake error: the request has a body"}
	case !u.websocket:
		return bad(ws.ErrHandshakeBadUpgrade)
	case !u.upgrade:
		return bad(ws.ErrHandshakeBadConnection)
	case u.versions != 1 || len(u.version) == 0:
		return refusal{HandshakeBadVersion, http.StatusBadRequest, ws.ErrHandshakeBadSecVersion.Error()}
	case string(u.version) != supportedVersion:
		return refusal{HandshakeBadVersion, http.StatusUpgradeRequired, ws.ErrHandshakeUpgradeRequired.Error()}
	case u.keys != 1 || len(u.key) != 24:
		return bad(ws.ErrHandshakeBadSecKey)
	}
	return refusal{}
}

// answer is the response to a good request.
func (u *upgradeRequest) answer() []byte {
	var key [60]byte // on the stack
	sum := sha1.Sum(append(append(key[:0], u.key...), "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	out := []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ")
	return append(base64.StdEncoding.AppendEncode(out, sum[:]), "\r\n\r\n"...)
}

// judge decides about an upgrade, as far as the server can without the
// Upgrader.
func (s *Server) judge(u *upgradeRequest) refusal {
	if no := u.check(); no.status != 0 {
		return no
	}
	allowed := s.allowed.Load()
	switch {
	case !allowed.Hosts.Allows(string(u.host)):
		return refusal{HandshakeForbiddenHost, http.StatusMisdirectedRequest, hostReason}
	case u.origins > 1 || u.origins == 1 && !allowed.Origins.Allows(string(u.origin), string(u.host), u.secure):
		return refusal{HandshakeForbiddenOrigin, http.StatusForbidden, originReason}
	case s.Draining():
		return refusal{HandshakeFull, http.StatusServiceUnavailable, drainingReason}
	case s.Full():
		return refusal{HandshakeFull, http.StatusServiceUnavailable, fullReason}
	}
	if u.returning {
		s.noteReturning()
	}
	return refusal{}
}

// header is the part of the answer that a status requires.
func (r refusal) header() http.Header {
	// A client that makes a mistake may already have sent frames.
	header := http.Header{"Connection": {"close"}}
	if r.status == http.StatusUpgradeRequired {
		header.Set("Upgrade", "websocket")
		header.Set("Sec-WebSocket-Version", supportedVersion)
	}
	return header
}
