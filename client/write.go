package client

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/gobwas/ws"
)

// batchBytes is the approximate size of one write. The messages of a write that
// fails are lost; the others are sent on the next transport.
const batchBytes = 64 << 10

// write sends the queued messages until the transport is over.
func (t *transport) write() {
	idle := t.conn.options.IdleTimeout
	var quiet <-chan time.Time
	if idle > 0 {
		ticker := time.NewTicker(max(idle/4, time.Millisecond))
		defer ticker.Stop()
		quiet = ticker.C
	}
	var buffer []byte
	for {
		data, last := t.batch(buffer[:0])
		if len(data) > 0 {
			if err := t.put(data, idle); err != nil {
				t.failWriting(err)
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
			continue // the queue may have more
		}
		select {
		case <-t.wake:
		case <-quiet:
			t.pingIfQuiet(idle / 2)
		}
	}
}

// failWriting ends the transport because a write has failed.
func (t *transport) failWriting(err error) {
	c := t.conn
	c.mu.Lock()
	if c.state == StateClosed && t.leaving > 0 {
		c.unsent = true
	}
	c.mu.Unlock()
	t.fail(err)
}

// put writes data to the socket. It fails with ErrIdle if the server takes less
// than batchBytes during the idle timeout.
func (t *transport) put(data []byte, idle time.Duration) error {
	for piece := range slices.Chunk(data, batchBytes) {
		begun := time.Now()
		if idle > 0 {
			_ = t.socket.SetWriteDeadline(begun.Add(idle))
		}
		_, err := t.socket.Write(piece)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return ErrIdle
		case err != nil:
			return err
		case time.Since(begun) > idle/16:
			t.alive() // the socket was full, and the pings wait behind its bytes
		}
	}
	return nil
}

// batch appends the next frames to data. last is true if no more follow.
func (t *transport) batch(data []byte) (frames []byte, last bool) {
	taken, pong, ping, closing, last := t.take()
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

// take removes the next messages from the queue.
func (t *transport) take() (taken []outgoing, pong []byte, ping bool, closing []byte, last bool) {
	t.conn.mu.Lock()
	defer t.conn.mu.Unlock()
	t.leaving = 0
	switch t.ending {
	case endingCut:
		return nil, nil, false, nil, true
	case endingReply:
		return nil, nil, false, t.closing(), true
	}
	pong, ping, t.pong, t.ping = t.pong, t.ping, nil, false
	count, size := 0, 0
	for count < len(t.queue) && size < batchBytes {
		size += len(t.queue[count].payload) + outgoingOverhead
		count++
	}
	// push never writes to these first elements of the queue's array again.
	taken, t.queue = t.queue[:count:count], t.queue[count:]
	t.queued -= size
	t.leaving = countEmits(taken)
	if len(t.queue) == 0 {
		t.queue = nil
		if t.ending == endingFlush {
			closing, last = t.closing(), true
		}
	}
	if !t.full(1) {
		t.ease()
	}
	return taken, pong, ping, closing, last
}

// closing returns the payload of the close frame.
func (t *transport) closing() []byte {
	if !t.code.Sendable() {
		return []byte{} // the answer to a close frame without a code
	}
	return binary.BigEndian.AppendUint16(nil, uint16(t.code))
}

// pingIfQuiet sends a ping if the server has sent nothing for this long. Not
// every server sends pings.
func (t *transport) pingIfQuiet(quiet time.Duration) {
	if t.quiet() >= quiet {
		t.sendPing()
	}
}

func (t *transport) sendPing() {
	t.conn.mu.Lock()
	defer t.conn.mu.Unlock()
	t.ping = true
	t.signal()
}

func opcode(binary bool) ws.OpCode {
	if binary {
		return ws.OpBinary
	}
	return ws.OpText
}

// newMask returns a key that the peer cannot predict (RFC 6455 section 10.3).
func newMask() (mask [4]byte) {
	key := rand.Uint32()
	return [4]byte{byte(key), byte(key >> 8), byte(key >> 16), byte(key >> 24)}
}
