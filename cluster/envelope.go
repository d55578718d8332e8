package cluster

// EnvelopeKind is the type of an envelope's payload.
type EnvelopeKind uint8

// The kinds of envelopes. Zero stands for EnvelopeMessage.
const (
	// EnvelopeMessage marks a wire message for all members of the channel.
	EnvelopeMessage EnvelopeKind = iota + 1
	// EnvelopeControl marks a request from node to node. Package node encodes
	// and decodes it; this package does not look into it.
	EnvelopeControl
)

func (k EnvelopeKind) String() string {
	switch k {
	case 0, EnvelopeMessage:
		return "message"
	case EnvelopeControl:
		return "control"
	}
	return "unknown"
}

// Envelope travels from a publishing node to the subscribed nodes.
type Envelope struct {
	// Kind is the type of Payload. Zero means EnvelopeMessage; for a message, a
	// broker may deliver either value.
	Kind EnvelopeKind
	// Binary is the frame type for the receivers: binary if true, text if
	// false. A text payload is valid UTF-8; the publisher has checked it.
	Binary bool
	// Origin is the ID of the connection that must not receive the message. If
	// it is empty, all members receive the message.
	Origin string
	// Except holds more IDs of connections that must not receive the message.
	// It is usually empty. Like the payload, it belongs to the creator of the
	// envelope.
	Except []string
	// Keep makes the message part of the channel's history, for this retention,
	// if the broker is a Historian. Nil: it is not kept. It is nil in Deliver.
	Keep *Retention
	// Key makes a message with Keep the newest of its key, if Retention.Keys is
	// not zero: for example the name of a value that it changes. Any bytes;
	// the publisher bounds their number. Empty: it has no key.
	Key string
	// Volatile marks a message that is worth nothing when it is late: a broker
	// drops it rather than queue it behind many others, and a node rather than
	// send it to a connection that does not keep up. It has no Keep.
	Volatile bool
	// User is the ID of the sending user, for the readers of the history. It
	// travels with kept messages only.
	User string
	// Position is set by the broker in Deliver, for a message that is kept.
	Position Position
	// Resent is set by the broker, in Deliver and in histories, for a kept
	// message that its publisher has sent again because the server has failed:
	// before that, nodes may have received it at another place, or not at all.
	// So a position up to it does not tell what a client has received.
	Resent bool
	// Repeat is set by the broker, in Deliver only, for such a message that it
	// has delivered before. If the history had lost the message, it has it
	// again, at this place. A handler that keeps no histories ignores it.
	Repeat bool
	// Payload is the wire message, byte for byte as the receivers see it, or
	// the request if Kind is EnvelopeControl.
	Payload []byte
}
