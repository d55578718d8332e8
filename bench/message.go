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

func newMessageForm(room string) messageForm {
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
	for i := numberDigits - 1; i >= 0; i-- {
		b[start+i] = byte('0'+n%10) ^ maskKey[(f.mask+i)&3]
		n /= 10
	}
	return b
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
