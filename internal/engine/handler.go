package engine

import (
	"net/http"
	"time"
)

// Shard is the owner of the connections of one loop.
type Shard interface {
	// NewConn returns the Conn of a new connection: a field of the owner's own
	// type, on which Conn.Init was called.
	NewConn() *Conn
	// Post runs a task on the loop, after everything that was posted to the
	// shard before. It reports false when the loop has ended. Safe for
	// concurrent use; it never blocks.
	Post(task func()) bool
	// Pending reports whether Work has something to do. The loop asks before it
	// parks; a caller that posts to the shard calls Loop.Wake afterwards.
	Pending() bool
	// Work does a bounded amount of the shard's own work. It runs once per
	// turn.
	Work()
	// QueuedBytes is the memory of the owner's queues of this loop and its
	// connections: those to the loop, and those of received messages. The loop
	// asks some times per second.
	QueuedBytes() int
	// Stopped is called when the loop has closed all connections and ends.
	Stopped()
}

// Handler is the owner's side of one connection. Each method is called on the
// connection's loop, without any lock held.
type Handler interface {
	// ID identifies the connection in log lines.
	ID() string
	// Opened is called when the handshake has succeeded. value is that of the
	// Upgrader's Decision, nil without an Upgrader.
	Opened(value any)
	// Message receives a message. Text is valid UTF-8. The payload is valid
	// during the call only.
	Message(payload []byte, binary bool)
	// Awaits reports whether the owner has asked for the message that begins
	// so: it does not wait for a rate. The owner calls Conn.Uncount for it.
	Awaits(start []byte) bool
	// HalfClosed is called when the peer has closed its side while the
	// connection is paused, so that the bytes before the end are still to be
	// read.
	HalfClosed()
	// Closing reports whether the close that the peer or a violation of the
	// protocol has caused must wait. If so, the owner calls Conn.FinishClose;
	// after Timeouts.Close the loop does.
	Closing() (wait bool)
	// Draining reports whether messages of the connection are still to be
	// handled, so that the close of a server that shuts down must wait. It ends
	// as that of Closing does, but sooner if the server has less time.
	Draining() (wait bool)
	// Ended is called once for a connection that was Opened, when nothing can
	// be sent or received any more. The socket may stay open for the close
	// handshake.
	Ended()
	// Closed is called once, after Ended, when the connection is gone.
	Closed(code uint16, by Initiator)
	// Deadline is called when the deadline of an open connection has passed.
	Deadline()
	// Slow is called when the send queue exceeds its limit although it was just
	// offered to the socket. The owner drops a part of it, closes the
	// connection, or waits for Drained.
	Slow()
	// Drained is called after Slow, when half of the limit is free again.
	Drained()
	// Tick is called once per sweep while Conn.WantTick is set.
	Tick()
	// Alarm is called for an open connection after Conn.SetAlarm.
	Alarm()
}

// Initiator is the side that closed a connection.
type Initiator uint8

// The initiators of a close.
const (
	ByPeer   Initiator = iota // the peer closed, with or without a close frame
	ByServer                  // this server closed
)

// String returns the side as one lower-case word.
func (i Initiator) String() string {
	if i == ByPeer {
		return "peer"
	}
	return "server"
}

// Upgrader decides about good upgrade requests, on goroutines of its own.
type Upgrader interface {
	// Begin is called before Upgrade. It reports false when it is too late for
	// a decision. Each Begin that returns true is followed by one Done.
	Begin() bool
	// Upgrade decides about a request, which has no body. It may block. The
	// context of a request that the loop has read is the background.
	Upgrade(r *http.Request, l *Loop) Decision
	// NotOpened is called when an accepted connection could not be opened any
	// more. Safe for concurrent use.
	NotOpened(l *Loop, value any)
	// Done is called after Upgrade.
	Done()
}

// Decision is the outcome of an Upgrade.
type Decision struct {
	// Value is passed to Handler.Opened.
	Value any
	// Status refuses the request with an HTTP status and the Reason as its
	// body; 0 accepts it.
	Status int
	Reason string
	// Explain opens the WebSocket of a refused request in place of that answer,
	// since browsers hide it from pages: the owner tells the peer the reason,
	// and closes. The connection counts as refused, and never as open.
	Explain bool
	// Protocol is the subprotocol that the answer selects, "" for none.
	Protocol string
	// Header is added to any answer to the request. CheckAnswer accepts it.
	Header http.Header
	// Late refuses the request because the decision came too late.
	Late bool

	result HandshakeResult // of a refusal; 0: HandshakeRefused
}

// LimitedRequest is a request that exceeds a limit of addresses.
type LimitedRequest struct {
	Status     int
	Reason     string
	RetryAfter time.Duration // 0: not known
	// IsPage is set if the request has an Origin header: a browser hides its
	// answer.
	IsPage bool
	// Protocols are the lines of Sec-WebSocket-Protocol.
	Protocols []string
}

// refusal returns how the decision is counted and logged.
func (d *Decision) refusal() refusal {
	if d.result != 0 {
		return refusal{d.result, d.Status, d.Reason}
	}
	return refusal{HandshakeRefused, d.Status, d.Reason}
}
