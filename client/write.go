package client

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"time"

	"github.com/gobwas/ws"
)

// batchBytes is about how much leaves with one write. What was taken for a write that
// fails is lost, the rest is kept for the next connection.
const batchBytes = 64 << 10

// write sends what is queued until the link is over.
func (l *link) write() {
	idle := l.conn.options.IdleTimeout
	var quiet <-chan time.Time
	if idle > 0 {
		ticker := time.NewTicker(max(idle/4, time.Millisecond))
		defer ticker.Stop()
		quiet = ticker.C
	}
	var buffer []byte
	for {
		data, last := l.batch(buffer[:0])
		if len(data) > 0 {
			if err := l.put(data, idle); err != nil {
				l.failWriting(err)
				return
			}
		}
		if buffer = data; cap(buffer) > 2*batchBytes {
			buffer = nil // of one huge message
		}
		switch {
		case last:
			return
		case len(data) > 0:
			continue // there may be more
		}
		select {
		case <-l.wake:
		case <-quiet:
			l.pingIfQuiet(idle / 2)
		}
	}
}

// failWriting ends the link because a write has failed.
func (l *link) failWriting(err error) {
	c := l.conn
	c.mu.Lock()
	if c.state == StateClosed && l.leaving > 0 {
		c.unsent = true
	}
	c.mu.Unlock()
	l.fail(err)
}

// put writes bytes, and gives up if they do not leave in time.
func (l *link) put(data []byte, idle time.Duration) error {
	if idle > 0 {
		_ = l.socket.SetWriteDeadline(time.Now().Add(idle))
	}
	_, err := l.socket.Write(data)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ErrIdle
	}
	return err
}

// batch appends the frames that leave next. Last: nothing follows.
func (l *link) batch(data []byte) (frames []byte, last bool) {
	taken, pong, ping, closing, last := l.take()
	if pong != nil {
		data = appendFrame(data, ws.OpPong, pong, newMask())
	}
	if ping {
		data = appendFrame(data, ws.OpPing, nil, newMask())
	}
	for _, out := range taken {
		data = appendFrame(data, opcode(out.binary), out.payload, newMask())
	}
	if closing != nil {
		data = appendFrame(data, ws.OpClose, closing, newMask())
	}
	return data, last
}

// take takes what leaves next out of the queue.
func (l *link) take() (taken []outgoing, pong []byte, ping bool, closing []byte, last bool) {
	l.conn.mu.Lock()
	defer l.conn.mu.Unlock()
	l.leaving = 0
	switch l.ending {
	case endingCut:
		return nil, nil, false, nil, true
	case endingReply:
		return nil, nil, false, l.closing(), true
	}
	pong, ping, l.pong, l.ping = l.pong, l.ping, nil, false
	count, size := 0, 0
	for count < len(l.queue) && size < batchBytes {
		size += len(l.queue[count].payload) + outgoingOverhead
		count++
	}
	// The queue's array is not written again before these, its first elements.
	taken, l.queue = l.queue[:count:count], l.queue[count:]
	l.queued -= size
	l.leaving = emissions(taken)
	if len(l.queue) == 0 {
		l.queue = nil
		if l.ending == endingFlush {
			closing, last = l.closing(), true
		}
	}
	if !l.full(1) {
		l.ease()
	}
	return taken, pong, ping, closing, last
}

// closing is the payload of the close frame.
func (l *link) closing() []byte {
	if !l.code.Sendable() {
		return []byte{} // the answer to a close frame without a code
	}
	return binary.BigEndian.AppendUint16(nil, uint16(l.code))
}

// pingIfQuiet asks for a sign of life if there was none for this long. Not every
// server pings by itself.
func (l *link) pingIfQuiet(quiet time.Duration) {
	if time.Since(time.Unix(0, l.heard.Load())) < quiet {
		return
	}
	l.conn.mu.Lock()
	defer l.conn.mu.Unlock()
	l.ping = true
}

func opcode(binary bool) ws.OpCode {
	if binary {
		return ws.OpBinary
	}
	return ws.OpText
}

// newMask returns a key that the peer cannot foresee (RFC 6455 section 10.3).
func newMask() (mask [4]byte) {
	key := rand.Uint32()
	return [4]byte{byte(key), byte(key >> 8), byte(key >> 16), byte(key >> 24)}
}
