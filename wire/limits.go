package wire

import "unicode/utf8"

// Defaults of Limits, in bytes.
const (
	DefaultMessageLimit   = 65536
	DefaultTokenLimit     = 320
	DefaultNamespaceLimit = 128
	DefaultRoomLimit      = 256
	DefaultEventLimit     = 128
)

// Limits are the greatest lengths in bytes that are accepted from a peer.
// Zero means the default, a negative value no limit. Names count in their
// unescaped form.
type Limits struct {
	// Message is the length of a whole payload. The reader of frames
	// applies it, before there is a message to check.
	Message int
	// Token is the length of a wait token.
	Token     int
	Namespace int
	Room      int
	Event     int
}

// WithDefaults returns a copy in which each zero is replaced by its default.
func (l Limits) WithDefaults() Limits {
	return Limits{
		Message:   orDefault(l.Message, DefaultMessageLimit),
		Token:     orDefault(l.Token, DefaultTokenLimit),
		Namespace: orDefault(l.Namespace, DefaultNamespaceLimit),
		Room:      orDefault(l.Room, DefaultRoomLimit),
		Event:     orDefault(l.Event, DefaultEventLimit),
	}
}

func orDefault(limit, standard int) int {
	if limit == 0 {
		return standard
	}
	return limit
}

// Parse is Parse followed by Check, in an order that allocates nothing for a
// name above its limit.
//
// With ErrNameTooLong and ErrInvalidName the message is returned too, with
// its names still in their escaped form: AppendError then repeats exactly
// what the peer sent. A message with ErrInvalidName must not be answered, the
// answer would not be valid UTF-8.
func (l Limits) Parse(payload []byte, binary bool) (Message, error) {
	m, err := split(payload, binary)
	if err != nil {
		return Message{}, err
	}
	lengths := [...]int{len(m.Token), unescapedLength(m.Namespace), unescapedLength(m.Room), unescapedLength(m.Event)}
	if err := l.check(&m, lengths); err != nil {
		return m, err
	}
	m.Namespace = unescape(m.Namespace)
	m.Room = unescape(m.Room)
	m.Event = unescape(m.Event)
	return m, nil
}

// Check reports whether a parsed message keeps to the limits. The error is
// ErrNameTooLong, or ErrInvalidName if the token or a name of a binary
// message is not valid UTF-8: the answers repeat them in text frames. Other
// bytes, NUL included, are fine. A text message is not looked at, its frame
// was validated as a whole.
func (l Limits) Check(m *Message) error {
	return l.check(m, [...]int{len(m.Token), len(m.Namespace), len(m.Room), len(m.Event)})
}

// check takes the lengths of token, namespace, room and event apart from the
// message, whose names may still be escaped.
func (l Limits) check(m *Message, lengths [4]int) error {
	l = l.WithDefaults()
	for i, limit := range [...]int{l.Token, l.Namespace, l.Room, l.Event} {
		if limit >= 0 && lengths[i] > limit {
			return ErrNameTooLong
		}
	}
	if !m.Binary {
		return nil
	}
	for _, name := range [...][]byte{m.Token, m.Namespace, m.Room, m.Event} {
		if !utf8.Valid(name) {
			return ErrInvalidName
		}
	}
	return nil
}
