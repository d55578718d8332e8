package wire

import "strings"

// Hello is what a client sends first: it asks for the acknowledgement. See
// AppendHello for a client with features.
const Hello = "M"

const (
	ackMark     = 'A'
	refusalMark = 'H'
)

// Texts that stand in for an empty one. With an empty text some peers take an
// error for a success, and a refused dial never ends (protocol.md section 2
// and bug B15).
const (
	genericError   = "unspecified error"
	genericRefusal = "refused"
)

// Append appends the payload of m to dst and returns the extended slice.
// Names are escaped; the token is written as it is and must not contain a
// semicolon. m.Binary and m.Verbatim are not part of the payload.
func Append(dst []byte, m *Message) []byte {
	dst = appendHead(dst, m, m.Error)
	return append(dst, m.Body...)
}

// AppendEmptyReply appends the positive answer to the system request or ask
// with this token. It is sent in a text frame even if the request was binary.
func AppendEmptyReply(dst, token []byte) []byte {
	dst = append(dst, token...)
	return append(dst, ";;;;;;"...)
}

// AppendError appends the negative answer to m: token, namespace, room and
// event of m with the error flag and the text. An empty text is replaced by a
// generic one. The answer belongs in a text frame even if m is binary, so
// bytes of text that are not UTF-8 are replaced; m itself must have passed
// Limits.Check.
func AppendError(dst []byte, m *Message, text string) []byte {
	dst = appendHead(dst, m, true)
	return appendText(dst, text, genericError)
}

// AppendAck appends the acknowledgement that gives a client its connection
// ID. It must be the first frame that the client gets, and a text frame.
func AppendAck(dst []byte, id string) []byte {
	dst = append(dst, ackMark)
	return append(dst, id...)
}

// AppendRefusal appends the answer to a hello that is refused. An empty text
// is replaced by a generic one; bytes that are not UTF-8 are replaced.
func AppendRefusal(dst []byte, text string) []byte {
	dst = append(dst, refusalMark)
	return appendText(dst, text, genericRefusal)
}

func appendHead(dst []byte, m *Message, isError bool) []byte {
	dst = append(dst, m.Token...)
	dst = append(dst, ';')
	dst = appendName(dst, m.Namespace)
	dst = append(dst, ';')
	dst = appendName(dst, m.Room)
	dst = append(dst, ';')
	dst = appendName(dst, m.Event)
	return append(dst, ';', flag(isError), ';', flag(m.NoOp), ';')
}

func flag(set bool) byte {
	if set {
		return '1'
	}
	return '0'
}

func appendText(dst []byte, text, generic string) []byte {
	if text == "" {
		text = generic
	}
	return append(dst, strings.ToValidUTF8(text, "\uFFFD")...)
}
