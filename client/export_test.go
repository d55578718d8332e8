package client

import (
	"bytes"
	"time"

	"github.com/gobwas/ws"
)

// Delay is Reconnect.delay with defaults.
func (r Reconnect) Delay(exponent int, suggested time.Duration, draw float64) time.Duration {
	o := Options{Reconnect: r}.withDefaults()
	return o.Reconnect.delay(exponent, suggested, draw)
}

// Suggestion is suggestion.
func Suggestion(err error) time.Duration { return suggestion(err) }

// Waiting returns how many bytes are queued for handlers.
func Waiting(c *Conn) int { return c.handlers.tasks.Status().Bytes }

// AppendFrame is appendFrame.
func AppendFrame(dst []byte, op ws.OpCode, payload []byte, mask [4]byte) []byte {
	return appendFrame(dst, op, payload, mask)
}

// ReadFrames reads everything that a server sent in pieces of this size, and
// returns the messages and the error that ended it.
func ReadFrames(data []byte, limit, piece int) (messages []string, err error) {
	f := frameReader{reader: &pieces{bytes.NewReader(data), piece}, limit: limit}
	for {
		op, payload, ok, err := f.next()
		if err != nil {
			return messages, err
		}
		if ok {
			messages = append(messages, string([]byte{byte(op)})+string(payload))
		}
	}
}

type pieces struct {
	data *bytes.Reader
	size int
}

func (p *pieces) Read(to []byte) (int, error) { return p.data.Read(to[:min(len(to), p.size)]) }

// Publishing returns how many calls of Publish have not ended.
func Publishing(c *Conn) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.outbox.Len()
}
