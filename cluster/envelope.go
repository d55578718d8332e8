package cluster

// EnvelopeKind is what an envelope holds.
type EnvelopeKind uint8

// The kinds of envelopes. Zero stands for EnvelopeMessage.
const (
	// EnvelopeMessage: the payload is a wire message for everybody in the channel.
	EnvelopeMessage EnvelopeKind = iota + 1
	// EnvelopeControl: the payload is a command from node to node. Package node encodes
	// and understands it; to this package it is bytes.
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

// Envelope is what travels from a publishing node to the nodes that subscribed.
type Envelope struct {
	// Kind is what Payload is. Zero means EnvelopeMessage; what is delivered may say
	// either for a message.
	Kind EnvelopeKind
	// Binary is the frame type that receivers are sent: binary if true, text if
	// not. A text payload is valid UTF-8; the publisher has checked it.
	Binary bool
	// Origin is the ID of the connection that must not receive the message.
	// Empty: everybody receives it.
	Origin string
	// Except holds more IDs of connections that must not receive the message.
	// Usually empty; like the payload it belongs to whoever made the envelope.
	Except []string
	// Payload is the wire message, byte for byte as receivers see it, or the
	// command if Kind is EnvelopeControl.
	Payload []byte
}
