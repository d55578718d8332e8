package node

import "github.com/stoa-io/stoa/wire"

// HandshakeResult is how an attempt to open a WebSocket ended.
type HandshakeResult uint8

// The results of a handshake.
const (
	HandshakeAccepted HandshakeResult = iota
	HandshakeBadRequest
	HandshakeForbiddenOrigin
	HandshakeBadVersion
	HandshakeHeaderTooLarge
	HandshakeTimeout
	HandshakeFull
	HandshakeAborted
	HandshakeRefused // by the program
	handshakeResults
)

func (r HandshakeResult) String() string {
	return [...]string{"accepted", "bad_request", "forbidden_origin", "bad_version",
		"header_too_large", "timeout", "full", "aborted", "refused", "unknown"}[min(r, handshakeResults)]
}

// MessageResult is what became of a message that a client sent.
type MessageResult uint8

// The results of a message.
const (
	MessageSystem     MessageResult = iota // acknowledge, connect, disconnect, join, leave
	MessageRelayed                         // an emit that was published
	MessageAnswer                          // an answer to an ask of this node
	MessageLateAnswer                      // an answer to an ask that had ended
	MessageUnhandled                       // an event that nobody handles; an ask was answered so
	MessageRefused                         // breaks a rule: not connected, not joined, a limit
	MessageIgnored                         // has no meaning where it came
	MessageInvalid                         // does not parse
	MessageDropped                         // accepted, and lost all the same
	MessageHandled                         // given to a handler of the program
	messageResults
)

func (r MessageResult) String() string {
	return [...]string{"system", "relayed", "answer", "late_answer", "unhandled", "refused",
		"ignored", "invalid", "dropped", "handled", "unknown"}[min(r, messageResults)]
}

// Initiator is the side that ended a connection.
type Initiator uint8

// The initiators of a close.
const (
	ByPeer   Initiator = iota // the peer closed, with or without a close frame
	ByServer                  // this node closed
	initiators
)

func (i Initiator) String() string {
	return [...]string{"peer", "server", "unknown"}[min(i, initiators)]
}

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
	for by := range initiators {
		for _, info := range wire.Codes() {
			keys = append(keys, CloseKey{info.Label, by})
		}
		keys = append(keys, CloseKey{wire.Code(0).Label(), by})
	}
	return keys
}

// The upper bounds of the histogram buckets; one more bucket holds what is above
// the last bound.
var (
	// FramesPerWriteBounds are in frames.
	FramesPerWriteBounds = [...]float64{1, 2, 4, 8, 16, 32, 64, 128, 256}
	// LoopLagBounds are in seconds.
	LoopLagBounds = [...]float64{0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1}
)

// Histogram counts observations; bucket i holds those at most bound i that are
// above bound i-1. It is not cumulative.
type Histogram struct {
	Buckets [10]uint64
	Sum     float64
}

func (h *Histogram) observe(bounds *[9]float64, v float64) {
	i := 0
	for i < len(bounds) && v > bounds[i] {
		i++
	}
	h.Buckets[i]++
	h.Sum += v
}

// add sums other into h.
func (h *Histogram) add(other *Histogram) {
	for i, n := range other.Buckets {
		h.Buckets[i] += n
	}
	h.Sum += other.Sum
}

// LoopStats is what one event loop counts. Counters only grow; the others are
// the state at the moment of asking.
type LoopStats struct {
	// State.
	Connections int // open WebSockets
	Pending     int // accepted, handshake not finished
	Rooms       int // rooms with a member on this loop
	Memberships int
	QueueBytes  int // waiting to be written, overhead included
	InboxBytes  int // deliveries waiting for the loop
	Held        int // connections that are not read because what they publish to is congested

	// Counters.
	Accepted       uint64 // sockets accepted, HTTP included
	AcceptErrors   uint64
	Handshakes     [handshakeResults]uint64
	HandedToHTTP   uint64
	MessagesIn     [2][messageResults]uint64 // by frame type (0 text, 1 binary) and result
	MessagesOut    uint64                    // data frames queued, deliveries included
	BytesIn        uint64                    // read from sockets
	BytesOut       uint64                    // written to sockets
	Deliveries     uint64                    // one per message and member
	DroppedFrames  uint64                    // queued, and not written when the connection ended
	PingsSent      uint64
	Closes         map[CloseKey]uint64
	FramesPerWrite Histogram
	Lag            Histogram // how late the loop's timer was served
	Turns          uint64
}

// Stats is a snapshot of a node: the sum over its loops and what belongs to the
// node as a whole.
type Stats struct {
	LoopStats
	Handlers          HandlerStats
	Loops             int
	Subscriptions     int  // channels subscribed at the broker
	Congested         bool // publishing connections are not read
	Draining          bool
	OpenQuestions     int    // asked of connections or rooms, by this node or its clients, and not settled
	LateAnswers       uint64 // to questions of this node that were settled
	BadCommands       uint64 // of other nodes, not understood
	CertificateErrors uint64 // changes of ListenTLS' files that left nothing to use
}

func (s *LoopStats) add(o *LoopStats) {
	s.Connections += o.Connections
	s.Pending += o.Pending
	s.Rooms += o.Rooms
	s.Memberships += o.Memberships
	s.QueueBytes += o.QueueBytes
	s.InboxBytes += o.InboxBytes
	s.Held += o.Held
	s.Accepted += o.Accepted
	s.AcceptErrors += o.AcceptErrors
	for i := range o.Handshakes {
		s.Handshakes[i] += o.Handshakes[i]
	}
	s.HandedToHTTP += o.HandedToHTTP
	for i := range o.MessagesIn {
		for j := range o.MessagesIn[i] {
			s.MessagesIn[i][j] += o.MessagesIn[i][j]
		}
	}
	s.MessagesOut += o.MessagesOut
	s.BytesIn += o.BytesIn
	s.BytesOut += o.BytesOut
	s.Deliveries += o.Deliveries
	s.DroppedFrames += o.DroppedFrames
	s.PingsSent += o.PingsSent
	if s.Closes == nil {
		s.Closes = make(map[CloseKey]uint64, len(o.Closes))
	}
	for k, n := range o.Closes {
		s.Closes[k] += n
	}
	s.FramesPerWrite.add(&o.FramesPerWrite)
	s.Lag.add(&o.Lag)
	s.Turns += o.Turns
}
