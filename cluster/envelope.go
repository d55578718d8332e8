package cluster

// Envelope is what travels from a publishing node to the nodes that subscribed.
type Envelope struct {
	// Binary is the frame type that receivers are sent: binary if true, text if
	// not. A text payload is valid UTF-8; the publisher has checked it.
	Binary bool
	// Origin is the ID of the connection that must not receive the message.
	// Empty: everybody receives it.
	Origin string
	// Payload is the wire message, byte for byte as receivers see it.
	Payload []byte
}
