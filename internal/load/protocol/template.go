package protocol

import (
	"bytes"
	"strings"
)

const (
	// BodySize is the size of every message body.
	BodySize = 64
	// NumberDigits is the length of a message's number, at the start of the
	// body.
	NumberDigits = 10
)

// A MessageTemplate is a message of one room in both directions: as the
// publisher sends it and as the members must receive it. Messages differ only
// in the number at the start of the body.
type MessageTemplate struct {
	sent     []byte // masked
	sentAt   int    // where the number is in sent
	mask     int    // which byte of the mask belongs to the number's first digit
	received []byte
	before   int // received[:before] and received[after:] are constant
	payload  int // the size of its payload
	after    int
}

// NewMessageTemplate encodes the message of an event in a room.
func NewMessageTemplate(room, event string) MessageTemplate {
	head := ";" + Namespace + ";" + room + ";" + event + ";0;0;"
	payload := []byte(head + strings.Repeat("0", NumberDigits) + strings.Repeat(".", BodySize-NumberDigits))
	t := MessageTemplate{
		sent:     AppendMasked(nil, OpText, payload),
		mask:     len(head),
		received: AppendFrame(nil, OpText, payload),
		payload:  len(payload),
	}
	t.sentAt = len(t.sent) - BodySize
	t.before = len(t.received) - BodySize
	t.after = t.before + NumberDigits
	return t
}

// Append appends the frame of message number n, as the publisher sends it.
func (t *MessageTemplate) Append(b []byte, n uint64) []byte {
	start := len(b) + t.sentAt
	b = append(b, t.sent...)
	putMasked(b[start:], t.mask, n)
	return b
}

// putMasked writes a number into a masked payload at offset mask.
func putMasked(b []byte, mask int, n uint64) {
	for i := NumberDigits - 1; i >= 0; i-- {
		b[i] = byte('0'+n%10) ^ maskKey[(mask+i)&3]
		n /= 10
	}
}

// Number returns the number of the message at the start of data. ok is false if
// data does not start with a complete message of this template.
func (t *MessageTemplate) Number(data []byte) (n uint64, ok bool) {
	if len(data) < len(t.received) ||
		!bytes.Equal(data[:t.before], t.received[:t.before]) ||
		!bytes.Equal(data[t.after:len(t.received)], t.received[t.after:]) {
		return 0, false
	}
	return parseNumber(data[t.before:t.after])
}

func parseNumber(digits []byte) (n uint64, ok bool) {
	for _, digit := range digits {
		if digit < '0' || digit > '9' {
			return 0, false
		}
		n = n*10 + uint64(digit-'0')
	}
	return n, true
}

// Positioned is Number for a message that carries a position, and returns its
// size, too: 0 if data does not start with a complete message of the kind.
func (t *MessageTemplate) Positioned(data []byte) (n uint64, size int) {
	f, size, err := ParseFrame(data)
	if err != nil || size == 0 || f.Opcode != OpText || len(f.Payload) < 2 || f.Payload[0] != '@' || f.Payload[1] == ';' {
		return 0, 0
	}
	end := bytes.IndexByte(f.Payload, ';')
	header := len(t.received) - t.payload
	rest := f.Payload[max(end, 0):]
	before, after := t.before-header, t.after-header
	if end < 0 || len(rest) != t.payload ||
		!bytes.Equal(rest[:before], t.received[header:t.before]) || !bytes.Equal(rest[after:], t.received[t.after:]) {
		return 0, 0
	}
	n, ok := parseNumber(rest[before:after])
	if !ok {
		return 0, 0
	}
	return n, size
}

// Size returns the size of a received message.
func (t *MessageTemplate) Size() int { return len(t.received) }

// An AskTemplate is an ask and its answer, which has the same payload. The
// token and the body both start with the ask's number.
type AskTemplate struct {
	sent     []byte // masked
	received []byte // with the number that was expected last
	body     int    // offset of the body in the payload, which starts with the token
}

// NewAskTemplate encodes the ask of an event.
func NewAskTemplate(event string) AskTemplate {
	head := strings.Repeat("0", NumberDigits) + ";" + Namespace + ";;" + event + ";0;0;"
	payload := []byte(head + strings.Repeat("0", NumberDigits) + strings.Repeat(".", BodySize-NumberDigits))
	return AskTemplate{sent: AppendMasked(nil, OpText, payload), received: AppendFrame(nil, OpText, payload), body: len(head)}
}

// Append appends the frame of ask number n.
func (t *AskTemplate) Append(b []byte, n uint64) []byte {
	b = append(b, t.sent...)
	payload := b[len(b)-t.body-BodySize:]
	putMasked(payload, 0, n)
	putMasked(payload[t.body:], t.body, n)
	return b
}

// Answers reports whether data starts with the answer to ask number n.
func (t *AskTemplate) Answers(data []byte, n uint64) bool {
	payload := t.received[len(t.received)-t.body-BodySize:]
	for i := NumberDigits - 1; i >= 0; i-- {
		payload[i] = byte('0' + n%10)
		payload[t.body+i] = payload[i]
		n /= 10
	}
	return bytes.HasPrefix(data, t.received)
}

// Size returns the size of an answer.
func (t *AskTemplate) Size() int { return len(t.received) }
