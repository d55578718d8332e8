package session

import "github.com/stoa-io/stoa/wire"

// Tracker knows, on a client, up to which message a room has been received, and
// what to ask for when the room is joined again. It outlives the sessions. The
// zero value has received nothing.
type Tracker struct {
	// position is that of the last message, connection the ID of the
	// connection on which everything up to it was complete.
	position, connection string
	// missing is how many messages still follow the answer to a join. After
	// the last one the position is head.
	missing int
	head    string
	// asked is the position of the join in flight, empty if there is none.
	asked     string
	asking    bool
	recovered bool
}

// NewTracker returns a tracker that continues after a position, which the
// application has kept.
func NewTracker(position string) Tracker { return Tracker{position: position} }

// Position returns the position of the last message, or that of the room when
// it was joined if no message has arrived since. It is empty if there is none.
func (t *Tracker) Position() string { return t.position }

// Recovered reports whether all messages were available that the client had
// missed before the last join.
func (t *Tracker) Recovered() bool { return t.recovered }

// Begin returns the request for a join. The limit matters if the messages after
// the position are not all available, or if there is no position.
func (t *Tracker) Begin(limit int) wire.RecoveryRequest {
	t.asking, t.asked, t.recovered, t.missing = true, t.position, false, 0
	return wire.RecoveryRequest{Position: t.position, Limit: limit, ExceptID: t.connection}
}

// End takes the answer to the join of Begin, nil if the server knows nothing of
// positions, and the ID of the connection. gap reports that messages are
// missing between the position and the next message. Without a join in flight
// it does nothing.
func (t *Tracker) End(answer *wire.RecoveryAnswer, connection string) (gap bool) {
	if !t.asking {
		return false
	}
	if answer == nil {
		answer = new(wire.RecoveryAnswer)
	}
	gap = t.asked != "" && !answer.Recovered
	t.asking, t.asked, t.recovered = false, "", answer.Recovered
	switch {
	case answer.Count > 0:
		t.missing, t.head = answer.Count, answer.Position
	case gap || answer.Position != "":
		t.position, t.connection = answer.Position, connection
	}
	return gap
}

// Interrupt is for a room that the server has joined on a new connection,
// before the client could: missed messages do not follow. gap is as for End.
func (t *Tracker) Interrupt() (gap bool) {
	gap = t.position != ""
	t.position, t.asked = "", ""
	return gap
}

// Receive takes the position of a message on the connection with this ID.
func (t *Tracker) Receive(position, connection string) {
	switch {
	case t.missing == 0:
		t.position, t.connection = position, connection
		return
	case t.missing == 1 && t.head != "":
		// Own emits of the previous connection can follow the last missed
		// message.
		t.position, t.connection = t.head, connection
	default:
		t.position = position
	}
	t.missing--
}
