//go:build linux

package exchange

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/stoa-io/stoa/internal/load/protocol"
)

// messageHead precedes the number of every message. The whole message is as
// long as that of a client in a room.
var messageHead = ";" + protocol.Namespace + ";room-0000;" + protocol.EventMessage + ";0;0;" +
	strings.Repeat(".", protocol.BodySize-protocol.NumberDigits)

// appendMessage appends message number n, with the number at its end.
func appendMessage(b []byte, n uint64) []byte {
	b = append(b, messageHead...)
	start := len(b)
	b = append(b, "0000000000"[:protocol.NumberDigits]...)
	for i := protocol.NumberDigits - 1; i >= 0; i-- {
		b[start+i] = byte('0' + n%10)
		n /= 10
	}
	return b
}

// A tally checks the numbers of received messages. Message n belongs to channel
// n modulo the number of channels, so each channel expects numbers of its own.
type tally struct {
	channels map[string]int
	next     []uint64
	received uint64
}

func newTally(channels []string) *tally {
	t := &tally{channels: make(map[string]int, len(channels)), next: make([]uint64, len(channels))}
	for i, channel := range channels {
		t.channels[channel], t.next[i] = i, uint64(i)
	}
	return t
}

// add checks one message and returns the number of messages received so far.
func (t *tally) add(channel, message string) (uint64, error) {
	i, known := t.channels[channel]
	if !known {
		return 0, fmt.Errorf("exchange: message in unknown channel %q", channel)
	}
	digits, found := strings.CutPrefix(message, messageHead)
	number, err := strconv.ParseUint(digits, 10, 64)
	if !found || err != nil || len(digits) != protocol.NumberDigits {
		return 0, fmt.Errorf("exchange: unexpected message %.200q", message)
	}
	if number != t.next[i] {
		return 0, fmt.Errorf("exchange: received message %d instead of %d in channel %d", number, t.next[i], i)
	}
	t.next[i] += uint64(len(t.next))
	t.received++
	return t.received, nil
}
