package wire

import "unicode/utf8"

// CheckOutgoing reports why a program cannot send a message with these names:
// ErrInvalidName for one that is not valid UTF-8, which a text frame cannot
// carry, and for a system event, which the receiver would take for the
// protocol's own.
func CheckOutgoing(namespace, room, event string) error {
	if !utf8.ValidString(namespace) || !utf8.ValidString(room) || !utf8.ValidString(event) || IsSystemEvent([]byte(event)) {
		return ErrInvalidName
	}
	return nil
}
