//go:build linux

package main

import (
	"bytes"
	"strings"
)

const (
	bodySize     = 64
	numberDigits = 10
	event        = "bench"
	// emptyAnswer after a token is the positive answer to a system request.
	emptyAnswer = ";;;;;;"
)

// A messageForm is the message of one room in both directions: as the publisher
// sends it and as the members have to get it. Only the number at the start of the
// body differs from message to message.
type messageForm struct {
	sent     []byte // masked
	sentAt   int    // where the number is in sent
	mask     int    // which byte of the mask belongs to the number's first digit
	received []byte
	before   int // received[:before] and received[after:] are the same in every message
	after    int
}

func newMessageForm(room, event string) messageForm {
	head := ";" + namespace + ";" + room + ";" + event + ";0;0;"
	payload := []byte(head + strings.Repeat("0", numberDigits) + strings.Repeat(".", bodySize-numberDigits))
	form := messageForm{
		sent:     appendMasked(nil, opText, payload),
		mask:     len(head),
		received: appendFrame(nil, opText, payload),
	}
	form.sentAt = len(form.sent) - bodySize
	form.before = len(form.received) - bodySize
	form.after = form.before + numberDigits
	return form
}

// appendMessage appends the frame of message number n.
func (f *messageForm) appendMessage(b []byte, n uint64) []byte {
	start := len(b) + f.sentAt
	b = append(b, f.sent...)
	putMasked(b[start:], f.mask, n)
	return b
}

// putMasked writes a number into a masked payload, of which mask is the place.
func putMasked(b []byte, mask int, n uint64) {
	for i := numberDigits - 1; i >= 0; i-- {
		b[i] = byte('0'+n%10) ^ maskKey[(mask+i)&3]
		n /= 10
	}
}

// An askForm is an ask and its answer, which says the same. The token and the body
// both hold the ask's number.
type askForm struct {
	sent     []byte // masked
	received []byte // with the number that was expected last
	body     int    // where the body is in the payload; the token is at its front
}

func newAskForm(event string) askForm {
	head := strings.Repeat("0", numberDigits) + ";" + namespace + ";;" + event + ";0;0;"
	payload := []byte(head + strings.Repeat("0", numberDigits) + strings.Repeat(".", bodySize-numberDigits))
	return askForm{sent: appendMasked(nil, opText, payload), received: appendFrame(nil, opText, payload), body: len(head)}
}

// appendAsk appends the frame of ask number n.
func (f *askForm) appendAsk(b []byte, n uint64) []byte {
	b = append(b, f.sent...)
	payload := b[len(b)-f.body-bodySize:]
	putMasked(payload, 0, n)
	putMasked(payload[f.body:], f.body, n)
	return b
}

// answers reports whether data starts with the answer to ask number n.
func (f *askForm) answers(data []byte, n uint64) bool {
	payload := f.received[len(f.received)-f.body-bodySize:]
	for i := numberDigits - 1; i >= 0; i-- {
		payload[i] = byte('0' + n%10)
		payload[f.body+i] = payload[i]
		n /= 10
	}
	return bytes.HasPrefix(data, f.received)
}

// number returns the number of the message at the start of data. Not ok: data
// does not start with a whole message of this form.
func (f *messageForm) number(data []byte) (n uint64, ok bool) {
	if len(data) < len(f.received) ||
		!bytes.Equal(data[:f.before], f.received[:f.before]) ||
		!bytes.Equal(data[f.after:len(f.received)], f.received[f.after:]) {
		return 0, false
	}
	for _, digit := range data[f.before:f.after] {
		if digit < '0' || digit > '9' {
			return 0, false
		}
		n = n*10 + uint64(digit-'0')
	}
	return n, true
}

// The system requests of a client and their one positive answer. The token is
// part of both.
func connectRequest(token string) string {
	return token + ";" + namespace + ";;_OnNamespaceConnect;0;0;"
}

func joinRequest(token, room string) string {
	return token + ";" + namespace + ";" + room + ";_OnRoomJoin;0;0;"
}

func leaveRequest(token, room string) string {
	return token + ";" + namespace + ";" + room + ";_OnRoomLeave;0;0;"
}

func positiveAnswer(token string) string { return token + emptyAnswer }
