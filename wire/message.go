package wire

// Message is one protocol message.
//
// The byte slices of a parsed message are views into the payload that was
// parsed and share its life; names that contained the escape are the
// exception, they are fresh copies. Clone detaches a message from its payload.
// A Message has no locks: share it between goroutines only for reading.
type Message struct {
	// Token is the wait token, verbatim as it stands on the wire; empty if no
	// answer is expected. The internal origin mark of neffos servers
	// ("neffos(0x...") is no token: Parse leaves Token empty for it. The
	// mark of a stack exchange ("!" as second byte) is left in. A token never
	// contains a semicolon. In an emit of a room with history it can be the
	// position (ParsePosition).
	Token []byte
	// Namespace, Room and Event are names in their unescaped form. The empty
	// namespace and the empty room are legal.
	Namespace []byte
	Room      []byte
	Event     []byte
	// Body is everything after the sixth semicolon. It is not escaped.
	Body []byte
	// Error says that Body is an error text.
	Error bool
	// NoOp marks a system request as neither to be carried out nor answered,
	// and an emit whose refusal is to be reported.
	NoOp bool
	// Binary is the frame type, which is no part of the payload.
	Binary bool
	// Verbatim is set by Parse only: no token and flags of exactly "0;0", so
	// the payload is byte for byte what the receivers of a relay must see.
	Verbatim bool
}

// Clone returns a copy of m that owns its memory, made with one allocation.
func (m *Message) Clone() Message {
	size := len(m.Token) + len(m.Namespace) + len(m.Room) + len(m.Event) + len(m.Body)
	buffer := make([]byte, 0, size)
	clone := *m
	for _, field := range []*[]byte{&clone.Token, &clone.Namespace, &clone.Room, &clone.Event, &clone.Body} {
		start := len(buffer)
		buffer = append(buffer, *field...)
		// The capacity ends with the field: an append by the owner of the
		// clone must not write over the next field.
		*field = buffer[start:len(buffer):len(buffer)]
	}
	return clone
}
