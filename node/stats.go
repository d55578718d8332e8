package node

import (
	"github.com/stoa-io/stoa/internal/bucket"
	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/internal/hub"
	"github.com/stoa-io/stoa/wire"
)

// HandshakeResult is how an attempt to open a WebSocket ended.
type HandshakeResult uint8

// The results of a handshake.
const (
	HandshakeAccepted        = HandshakeResult(engine.HandshakeAccepted)
	HandshakeBadRequest      = HandshakeResult(engine.HandshakeBadRequest)
	HandshakeForbiddenOrigin = HandshakeResult(engine.HandshakeForbiddenOrigin)
	HandshakeBadVersion      = HandshakeResult(engine.HandshakeBadVersion)
	HandshakeHeaderTooLarge  = HandshakeResult(engine.HandshakeHeaderTooLarge)
	HandshakeTimeout         = HandshakeResult(engine.HandshakeTimeout)
	HandshakeFull            = HandshakeResult(engine.HandshakeFull)
	HandshakeAborted         = HandshakeResult(engine.HandshakeAborted)
	HandshakeRefused         = HandshakeResult(engine.HandshakeRefused) // by the accept handler
	HandshakeForbiddenHost   = HandshakeResult(engine.HandshakeForbiddenHost)
	HandshakeEvicted         = HandshakeResult(engine.HandshakeEvicted)     // closed without a request, to make room
	HandshakeAddressFull     = HandshakeResult(engine.HandshakeAddressFull) // Limits.AddressConnections
	HandshakeAddressRate     = HandshakeResult(engine.HandshakeAddressRate) // Limits.AddressHandshakes
	HandshakeNodeRate        = HandshakeResult(engine.HandshakeNodeRate)    // Limits.Handshakes
)

// String returns the result in lower-case words joined by "_".
func (r HandshakeResult) String() string { return engine.HandshakeResult(r).String() }

// HandshakeResults returns all results. The slice is the caller's own.
func HandshakeResults() []HandshakeResult {
	all := make([]HandshakeResult, engine.HandshakeResults)
	for i := range all {
		all[i] = HandshakeResult(i)
	}
	return all
}

// ProxyError is a reason why the address of a client behind proxies is not
// known.
type ProxyError uint8

// The reasons.
const (
	// ProxyBadHeader: a connection began with no header of the PROXY protocol,
	// or a malformed one, and was closed.
	ProxyBadHeader = ProxyError(engine.ProxyHeader)
	// ProxyUntrusted: a connection to a listener for the PROXY protocol did not
	// come from Config.TrustedProxies, and was closed.
	ProxyUntrusted = ProxyError(engine.ProxyUntrusted)
	// ProxyBadField: the Config.ProxyHeader of a trusted proxy was malformed,
	// and the client got the address of its proxy.
	ProxyBadField = ProxyError(engine.ProxyField)
)

// String returns the reason in lower-case words joined by "_".
func (e ProxyError) String() string { return engine.ProxyError(e).String() }

// ProxyErrors returns all reasons. The slice is the caller's own.
func ProxyErrors() []ProxyError {
	all := make([]ProxyError, engine.ProxyErrors)
	for i := range all {
		all[i] = ProxyError(i)
	}
	return all
}

// MessageResult is what became of a message that a client sent.
type MessageResult uint8

// The results of a message.
const (
	MessageSystem     = MessageResult(hub.MessageSystem)     // acknowledge, connect, disconnect, join, leave
	MessageRelayed    = MessageResult(hub.MessageRelayed)    // an emit or ask that was published
	MessageAnswer     = MessageResult(hub.MessageAnswer)     // an answer to an ask of this node
	MessageLateAnswer = MessageResult(hub.MessageLateAnswer) // an answer to an ask that had ended
	MessageUnhandled  = MessageResult(hub.MessageUnhandled)  // an event without a handler; an ask was answered so
	MessageRefused    = MessageResult(hub.MessageRefused)    // breaks a rule: not connected, not joined, a limit
	MessageIgnored    = MessageResult(hub.MessageIgnored)    // has no meaning where it arrived
	MessageInvalid    = MessageResult(hub.MessageInvalid)    // malformed
	MessageDropped    = MessageResult(hub.MessageDropped)    // accepted, and lost all the same
	MessageHandled    = MessageResult(hub.MessageHandled)    // given to a handler of the application
)

// String returns the result in lower-case words joined by "_".
func (r MessageResult) String() string { return hub.MessageResult(r).String() }

// MessageResults returns all results. The slice is the caller's own.
func MessageResults() []MessageResult {
	all := make([]MessageResult, hub.MessageResults)
	for i := range all {
		all[i] = MessageResult(i)
	}
	return all
}

// RenewalResult is what became of a token that a client handed in over its open
// connection.
type RenewalResult uint8

// The results of a renewal.
const (
	RenewalAccepted  = RenewalResult(hub.RenewalAccepted)
	RenewalRefused   = RenewalResult(hub.RenewalRefused)   // the token is not good, or too long
	RenewalForbidden = RenewalResult(hub.RenewalForbidden) // another user's, or the client may not log in
	RenewalFailed    = RenewalResult(hub.RenewalFailed)    // it could not be verified
	RenewalLimited   = RenewalResult(hub.RenewalLimited)   // too many: the connection was closed
	RenewalUnhandled = RenewalResult(hub.RenewalUnhandled) // there is no handler for tokens
)

// String returns the result as one lower-case word.
func (r RenewalResult) String() string { return hub.RenewalResult(r).String() }

// RenewalResults returns all results. The slice is the caller's own.
func RenewalResults() []RenewalResult {
	all := make([]RenewalResult, hub.RenewalResults)
	for i := range all {
		all[i] = RenewalResult(i)
	}
	return all
}

// RateKind is a rate that a connection can exceed.
type RateKind uint8

// The rates.
const (
	RateMessages     = RateKind(bucket.Messages)      // Limits.Messages
	RateBytes        = RateKind(bucket.Bytes)         // Limits.Bytes
	RateUserMessages = RateKind(bucket.GroupMessages) // Limits.UserMessages
	RateUserBytes    = RateKind(bucket.GroupBytes)    // Limits.UserBytes
	RateJoins        = RateKind(bucket.Causes)        // Limits.Joins
)

// String returns the rate in lower-case words joined by "_".
func (k RateKind) String() string {
	if k == RateJoins {
		return "joins"
	}
	return bucket.Cause(k).String()
}

// RateKinds returns all rates. The slice is the caller's own.
func RateKinds() []RateKind {
	return []RateKind{RateMessages, RateBytes, RateUserMessages, RateUserBytes, RateJoins}
}

// LimitKind is a limit that Stats.LimitsExceeded counts. The other limits have
// counters of their own.
type LimitKind uint8

// The limits.
const (
	LimitNames      = LimitKind(hub.LimitNames)      // Limits.Names
	LimitNamespaces = LimitKind(hub.LimitNamespaces) // Limits.Namespaces
	LimitRooms      = LimitKind(hub.LimitRooms)      // Limits.Rooms
	LimitAsks       = LimitKind(hub.LimitAsks)       // Limits.Asks
	LimitAskTime    = LimitKind(hub.LimitAskTime)    // Timeouts.Ask, for asks of clients
	LimitJoinTime   = LimitKind(hub.LimitJoinTime)   // Timeouts.Join, for connects and joins
	LimitHTTPTime   = LimitKind(hub.LimitKinds)      // the answer to an HTTP request was not taken
)

// String returns the limit in lower-case words joined by "_".
func (k LimitKind) String() string {
	if k == LimitHTTPTime {
		return "http_time"
	}
	return hub.LimitKind(k).String()
}

// LimitKinds returns all limits. The slice is the caller's own.
func LimitKinds() []LimitKind {
	return []LimitKind{LimitNames, LimitNamespaces, LimitRooms, LimitAsks, LimitAskTime, LimitJoinTime, LimitHTTPTime}
}

// Initiator is the side that closed a connection.
type Initiator uint8

// The initiators of a close.
const (
	ByPeer   = Initiator(engine.ByPeer)   // the peer closed, with or without a close frame
	ByServer = Initiator(engine.ByServer) // this node closed
)

// String returns the side as one lower-case word.
func (i Initiator) String() string { return engine.Initiator(i).String() }

// CloseKey is a kind of close as it is counted. Code comes from a closed set: a
// code that is not in package wire's table is counted as "other".
type CloseKey struct {
	Code      string
	Initiator Initiator
}

// CloseKeys returns every kind of close that can be counted. The slice is the
// caller's own.
func CloseKeys() []CloseKey {
	var keys []CloseKey
	for _, by := range []Initiator{ByPeer, ByServer} {
		for _, info := range wire.Codes() {
			keys = append(keys, CloseKey{info.Label, by})
		}
		keys = append(keys, CloseKey{wire.Code(0).Label(), by})
	}
	return keys
}

// DeniedKey is a rule of a namespace.
type DeniedKey struct {
	Namespace string
	Rule      Rule
}

// Histogram counts observations. Bucket i holds those at most bound i that are
// above bound i-1; the last bucket, one more than there are bounds, holds those
// above all bounds. It is not cumulative.
type Histogram struct {
	Buckets []uint64
	Sum     float64
}

// FramesPerWriteBounds returns the upper bounds of Stats.FramesPerWrite, in
// frames. The slice is the caller's own.
func FramesPerWriteBounds() []float64 { return engine.FramesPerWriteBounds() }

// LoopLagBounds returns the upper bounds of Stats.Lag, in seconds. The slice is
// the caller's own.
func LoopLagBounds() []float64 { return engine.LoopLagBounds() }

// Stats is a snapshot of a node. Counters only grow; the first group is the
// state at the moment of the call. The maps are the caller's own.
type Stats struct {
	// State.
	Loops           int
	Connections     int // open WebSockets
	ConnectionLimit int // beyond which upgrades are answered with 503; 0: no limit
	Pending         int // accepted connections whose handshake is not finished
	Rooms           int // rooms with a member, counted once per loop
	Memberships     int
	Users           int // users with a connection, counted once per loop
	UserConns       int // connections of users
	BlockedUsers    int
	QueueBytes      int // in send queues, overhead included
	InboxBytes      int // deliveries that wait for loops, overhead included
	QueueMemory     int // all queues that Limits.QueueMemory bounds; those above are two of them
	MemoryLimit     int // Limits.QueueMemory; 0: none
	Paused          int // connections that are not read because the broker is congested
	Addresses       int // addresses of clients that are kept for their limits
	OverRate        int // connections that are not read because they exceed a rate
	Subscriptions   int // channels subscribed at the broker
	PendingCalls    int // asks of this node and its clients to others that have not ended
	OpenAsks        int // asks to clients of this node that have no answer yet
	Congested       bool
	Draining        bool

	// Counters.
	Accepted          uint64 // sockets accepted, HTTP included
	AcceptErrors      uint64
	Handshakes        map[HandshakeResult]uint64
	ProxyErrors       map[ProxyError]uint64
	HandedToHTTP      uint64                      // connections given to Config.HTTP
	HTTPEvicted       uint64                      // of those, closed because descriptors had run out
	MessagesIn        [2]map[MessageResult]uint64 // by frame type: 0 text, 1 binary
	MessagesOut       uint64                      // data frames queued, deliveries not included
	BytesIn           uint64                      // read from sockets
	BytesOut          uint64                      // written to sockets
	Deliveries        uint64                      // one per message and member
	DroppedFrames     uint64                      // queued, and not written when the connection closed
	MemoryCloses      uint64                      // connections closed because the queues exceeded Limits.QueueMemory
	PingsSent         uint64
	AsksSkipped       uint64 // asks that were not sent to a client with too many open ones
	DeliveriesDropped uint64 // by namespaces with SlowDrop, for members that do not read fast enough
	SendQueueExceeded uint64 // send queues that exceeded their limit
	SendersPaused     uint64 // pauses of senders whose messages met such a queue
	SharesExceeded    uint64 // pauses of clients that publish faster than their messages are delivered
	ExpiryNotices     uint64 // notices to clients that their identity is about to end
	Renewals          map[RenewalResult]uint64
	LimitsExceeded    map[LimitKind]uint64   // messages and requests beyond a limit
	RatesExceeded     map[RateKind]uint64    // pauses of clients that exceed a rate
	Closes            map[CloseKey]uint64    // those that occurred; see CloseKeys
	Denied            map[DeniedKey]uint64   // of namespaces with rules, for each rule that they have
	FramesPerWrite    Histogram              // in frames
	Lag               Histogram              // how late the loops' timers were served, in seconds
	Turns             uint64                 // of loops
	LateAnswers       uint64                 // to calls of this node that had ended
	BadRequests       uint64                 // malformed requests of other nodes
	CertificateErrors uint64                 // changes of ListenTLS' files that left nothing to use
	UserRefusals      map[UserRefusal]uint64 // connections of users that were refused or closed

	Handlers HandlerStats
	History  HistoryStats
	Presence PresenceStats
	Volatile VolatileStats
}

// Stats gathers a snapshot from every loop. It waits for each to end its turn.
func (n *Node) Stats() Stats {
	all := n.hub.Stats()
	e := &all.Engine
	s := Stats{
		Loops: n.config.Loops, Connections: e.Connections, ConnectionLimit: n.ConnectionLimit(), Pending: e.Pending,
		Rooms: all.Rooms, Memberships: all.Memberships,
		Users: all.Users, UserConns: all.UserConns, BlockedUsers: n.hub.Blocks().Users(),
		QueueBytes: e.QueueBytes, InboxBytes: all.InboxBytes, Paused: e.Paused, OverRate: e.OverRate,
		Addresses:   n.server.Addresses(),
		QueueMemory: all.QueuedBytes, MemoryLimit: n.queueMemory, MemoryCloses: e.MemoryCloses,
		Subscriptions: n.hub.Subscriptions(), PendingCalls: n.hub.Peer().Pending(),
		OpenAsks:  n.hub.OpenAsks(),
		Congested: n.server.Congestion().Set() != 0, Draining: n.draining.Load(),

		Accepted: e.Accepted, AcceptErrors: e.AcceptErrors, HandedToHTTP: e.HandedToHTTP,
		HTTPEvicted: e.HTTPEvicted,
		Handshakes:  make(map[HandshakeResult]uint64), ProxyErrors: make(map[ProxyError]uint64),
		MessagesOut: all.MessagesOut, BytesIn: e.BytesIn, BytesOut: e.BytesOut,
		Deliveries: all.Deliveries, DroppedFrames: e.DroppedFrames, PingsSent: e.PingsSent,
		AsksSkipped: all.AsksSkipped, DeliveriesDropped: all.DeliveriesDropped, SendQueueExceeded: all.SendQueueExceeded, SendersPaused: all.SendersPaused,
		SharesExceeded: all.SharesExceeded, ExpiryNotices: all.ExpiryNotices,
		Renewals:       make(map[RenewalResult]uint64),
		LimitsExceeded: map[LimitKind]uint64{LimitHTTPTime: e.HTTPTimeouts},
		RatesExceeded:  map[RateKind]uint64{RateJoins: all.JoinsDelayed},
		Closes:         make(map[CloseKey]uint64),
		FramesPerWrite: Histogram{e.FramesPerWrite.Buckets[:], e.FramesPerWrite.Sum},
		Lag:            Histogram{e.Lag.Buckets[:], e.Lag.Sum},
		Turns:          e.Turns,
		LateAnswers:    n.hub.Peer().LateAnswers(), BadRequests: n.hub.Peer().BadRequests(),
		UserRefusals: make(map[UserRefusal]uint64),
		Handlers:     n.handlerStats(),
		History:      n.historyStats(),
		Presence:     PresenceStats(n.hub.PresenceStats()),
		Volatile:     VolatileStats{Slow: e.VolatileDropped, Congested: all.VolatileCongested},
	}
	for why, count := range n.hub.UserRefusals() {
		s.UserRefusals[UserRefusal(why)] = count
	}
	for result, count := range e.Handshakes {
		s.Handshakes[HandshakeResult(result)] = count
	}
	for result, count := range all.Renewals {
		s.Renewals[RenewalResult(result)] = count
	}
	for limit, count := range all.LimitsExceeded {
		s.LimitsExceeded[LimitKind(limit)] = count
	}
	for cause, count := range e.RatePauses {
		s.RatesExceeded[RateKind(cause)] = count
	}
	for reason, count := range e.ProxyErrors {
		s.ProxyErrors[ProxyError(reason)] = count
	}
	for key, count := range all.Closes {
		s.Closes[CloseKey{key.Code, Initiator(key.Initiator)}] = count
	}
	n.addMessages(&s, &all)
	s.Denied = n.denied()
	if files := n.certificate.Load(); files != nil {
		s.CertificateErrors = files.Failures()
	}
	return s
}

// addMessages adds the received messages by result.
func (n *Node) addMessages(s *Stats, all *hub.Stats) {
	for frame := range s.MessagesIn {
		counts := make(map[MessageResult]uint64)
		for result, count := range all.MessagesIn[frame] {
			counts[MessageResult(result)] = count
		}
		for _, p := range n.pools() {
			counts[MessageDropped] += p.dropped[frame].Load()
		}
		s.MessagesIn[frame] = counts
	}
}

// denied returns how many messages each rule has refused.
func (n *Node) denied() map[DeniedKey]uint64 {
	counts := make(map[DeniedKey]uint64)
	for name, ns := range n.table() {
		p := ns.policy.Load()
		for rule := range rules {
			if count := ns.denied[rule].Load(); count > 0 || p.has(rule) {
				counts[DeniedKey{name, rule}] = count
			}
		}
	}
	return counts
}
