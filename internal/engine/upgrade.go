package engine

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/stoa-io/stoa/internal/addresses"
)

// upgradeTask carries the Upgrader's decision about a request of an own
// listener's connection back to the loop.
type upgradeTask struct {
	slot, generation uint32
	answer           []byte // to a good request
	decision         Decision
}

// decide lets the Upgrader decide about a good request, and owns its answer. In
// the meantime nothing is read from the connection.
func (c *Conn) decide(head, answer []byte) {
	l := c.loop
	upgrader := l.server.upgrader
	request, err := readRequest(head)
	if err != nil { // net/http is stricter than the check of the upgrade
		c.turnAway(HandshakeRefused, http.StatusBadRequest, "malformed HTTP request")
		return
	}
	if !upgrader.Begin() { // the server has stopped
		c.turnAway(HandshakeAborted, http.StatusServiceUnavailable, unusableReason)
		return
	}
	c.state = connAccepting
	c.setPending(false)
	t := &upgradeTask{
		slot: c.slot, generation: c.generation, answer: answer,
		// Stays if Upgrade does not return: its code called runtime.Goexit.
		decision: Decision{Status: http.StatusInternalServerError, Reason: "the request cannot be served"},
	}
	request.RemoteAddr = c.takePeer()
	blocking := c.blocking
	go func() {
		defer upgrader.Done()
		defer func() {
			if !l.post(t) {
				t.dropped(l)
			}
		}()
		if blocking != nil {
			request.TLS = tlsState(blocking.conn)
		}
		t.decision = upgrader.Upgrade(request, l)
	}()
	l.YieldSoon() // most decisions are there when the loop continues
}

// keepPeer keeps the address of an accepted socket for its request: the kernel
// has given it already, and to ask again is a system call.
func (l *Loop) keepPeer(c *Conn, peer netip.AddrPort) {
	if l.server.upgrader == nil || !peer.IsValid() {
		return
	}
	if l.peers == nil {
		l.peers = make(map[uint32]netip.AddrPort)
	}
	l.peers[c.slot] = peer
}

// takePeer is RemoteAddr for the connection's request.
func (c *Conn) takePeer() string {
	peer, known := c.loop.peers[c.slot]
	delete(c.loop.peers, c.slot)
	if !known || c.rare != nil && c.rare.remote != "" {
		return c.RemoteAddr()
	}
	return peer.String()
}

// run opens the WebSocket, or refuses it.
func (t *upgradeTask) run(l *Loop) {
	c := l.lookup(t.slot, t.generation)
	d := &t.decision
	switch {
	case c == nil || c.state != connAccepting: // too late
		t.dropped(l)
		return
	case d.Status != 0 && !d.Explain:
		c.turnAwayWith(d.refusal(), d.Header)
		return
	case d.Status == 0 && d.Late:
		c.turnAway(HandshakeTimeout, http.StatusServiceUnavailable, lateReason)
		t.dropped(l)
		return
	case l.server.Draining() || d.Status == 0 && l.server.Full():
		c.turnAway(HandshakeFull, http.StatusServiceUnavailable, unusableReason)
		t.dropped(l)
		return
	}
	c.Send(d.extend(t.answer), 0)
	c.begin(d)
	c.resume()
}

// begin opens the WebSocket whose answer was sent.
func (c *Conn) begin(d *Decision) {
	if d.Status == 0 {
		c.opened(d.Value)
		return
	}
	c.loop.server.refused(d.refusal(), c.RemoteAddr(), nil, nil)
	c.explain(d)
}

// dropped tells the Upgrader that an accepted connection was not opened.
func (t *upgradeTask) dropped(l *Loop) {
	if t.decision.Status == 0 {
		l.server.upgrader.NotOpened(l, t.decision.Value)
	}
}

// turnAway refuses a request that was not refused for its content.
func (c *Conn) turnAway(result HandshakeResult, status int, reason string) {
	c.turnAwayWith(refusal{result, status, reason}, nil)
}

// turnAwayWith is turnAway with further fields in the answer.
func (c *Conn) turnAwayWith(no refusal, fields http.Header) {
	c.loop.stats.Handshakes[no.result]++
	c.loop.server.refused(no, c.RemoteAddr(), nil, nil)
	header := no.header()
	maps.Copy(header, fields)
	c.refuseWith(refusalAnswer(no.status, no.reason, header))
	if c.flags&flagReadable != 0 {
		c.readLater() // no event announces again the bytes or the end that arrived
	}
}

// accept is the answer to a good request without an Upgrader.
func (s *Server) accept(u *upgradeRequest) []byte {
	d := Decision{Protocol: SelectSubprotocol(s.config.Subprotocols, u.protocols)}
	return d.extend(u.answer())
}

// extend adds the decision's fields to the answer that opens the WebSocket.
func (d *Decision) extend(answer []byte) []byte {
	if d.Protocol == "" && len(d.Header) == 0 {
		return answer
	}
	out := bytes.NewBuffer(bytes.TrimSuffix(answer, []byte("\r\n")))
	if d.Protocol != "" {
		out.WriteString("Sec-WebSocket-Protocol: " + d.Protocol + "\r\n")
	}
	_ = d.Header.Write(out)
	out.WriteString("\r\n")
	return out.Bytes()
}

// Subprotocols returns the elements of the lines of Sec-WebSocket-Protocol that
// can be selected, in the client's order of preference.
func Subprotocols(lines []string) (offered []string) {
	for _, line := range lines {
		for element := range strings.SplitSeq(line, ",") {
			if element = strings.Trim(element, " \t"); isToken([]byte(element)) && !slices.Contains(offered, element) {
				offered = append(offered, element)
			}
		}
	}
	return offered
}

// SelectSubprotocol returns the first of the spoken subprotocols that the lines
// of Sec-WebSocket-Protocol offer, or "".
func SelectSubprotocol(spoken, lines []string) string {
	if len(spoken) == 0 || len(lines) == 0 {
		return ""
	}
	offered := Subprotocols(lines)
	for _, protocol := range spoken {
		if slices.Contains(offered, protocol) {
			return protocol
		}
	}
	return ""
}

// IsToken reports whether the text can be the name of a field or a subprotocol
// (RFC 9110 section 5.6.2).
func IsToken(text string) bool { return isToken([]byte(text)) }

// CheckAnswer returns why the fields cannot be added to an answer: a line break
// would begin another field, and those of the handshake and of the body belong
// to the server.
func CheckAnswer(header http.Header) error {
	for name, values := range header {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !IsToken(name):
			return fmt.Errorf("field name %q: want a token of RFC 9110", name)
		case strings.HasPrefix(canonical, "Sec-Websocket-"), slices.Contains(reservedFields, canonical):
			return fmt.Errorf("field %q belongs to the server", name)
		}
		for _, value := range values {
			if strings.ContainsFunc(value, isControl) {
				return fmt.Errorf("field %q: the value %q has a control character", name, value)
			}
		}
	}
	return nil
}

// reservedFields are the fields of answers that the server writes itself.
var reservedFields = []string{"Connection", "Upgrade", "Content-Length", "Content-Type", "Transfer-Encoding", "Trailer"}

// enter counts a good request, and the connection, against the limits of its
// address. It returns an entry, which may be nil, or the answer to a client
// that exceeds a limit.
func (s *Server) enter(u *upgradeRequest, remote string, now uint32) (*addresses.Entry, *Decision) {
	if !s.limited.Load() {
		return nil, nil
	}
	entry, result, wait := s.addresses.Enter(remote, now)
	if result == addresses.Entered {
		return entry, nil
	}
	r := LimitedRequest{Status: http.StatusTooManyRequests, IsPage: u.origins > 0, Protocols: u.protocols}
	no := HandshakeAddressFull
	switch result {
	case addresses.AddressFull:
		r.Reason = "too many connections from this address"
	case addresses.AddressRate:
		no, r.Reason = HandshakeAddressRate, "too many attempts to connect from this address"
	default:
		no, r.Reason = HandshakeNodeRate, "too many attempts to connect"
	}
	if wait > 0 {
		r.RetryAfter = max(time.Duration(wait)*time.Millisecond, time.Second)
	}
	d := s.config.Limited(&r)
	d.result = no
	return nil, &d
}

// Addresses is how many addresses the server keeps for their limits. Safe for
// concurrent use.
func (s *Server) Addresses() int { return s.addresses.Len() }

// SetAddressLimits replaces Limits.Addresses, for later requests. Connections
// that were opened while there was no limit of addresses do not count. Safe for
// concurrent use.
func (s *Server) SetAddressLimits(l addresses.Limits) {
	s.addresses.SetLimits(l)
	s.limited.Store(!l.IsZero())
}

// leave undoes enter.
func (s *Server) leave(entry *addresses.Entry) {
	if entry != nil {
		s.addresses.Leave(entry, s.elapsed())
	}
}

// keepEntry keeps the entry of a connection's address until the connection is
// gone.
func (c *Conn) keepEntry(entry *addresses.Entry) {
	if entry == nil {
		return
	}
	l := c.loop
	if missing := len(l.conns) - len(l.addresses); missing > 0 {
		l.addresses = append(l.addresses, make([]*addresses.Entry, missing)...)
	}
	l.addresses[c.slot] = entry
}

// dropEntry undoes keepEntry.
func (c *Conn) dropEntry() {
	if l := c.loop; int(c.slot) < len(l.addresses) {
		l.server.leave(l.addresses[c.slot])
		l.addresses[c.slot] = nil
	}
}

// refuseAddress answers a request above a limit of addresses, in this turn.
func (c *Conn) refuseAddress(d *Decision, answer []byte) {
	c.state = connAccepting
	t := &upgradeTask{slot: c.slot, generation: c.generation, answer: answer, decision: *d}
	if !c.loop.post(t) {
		t.dropped(c.loop)
	}
}
