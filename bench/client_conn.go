//go:build linux

package main

import (
	"fmt"
	"strconv"
	"syscall"
)

// A phase is how far a connection has come.
type phase uint8

const (
	phaseUpgrade phase = iota + 1 // waits for the answer to the HTTP request
	phaseHello                    // waits for the acknowledgement
	phaseConnect                  // waits for the namespace
	phaseJoin                     // waits for the room
	phaseReady                    // gets messages
	phaseOperate                  // waits for the answer to a join or leave
	phaseAsk                      // waits for the answers to asks
	phaseCounted                  // waits for the number of emits that were handled
	phaseClose                    // waits for the end
)

func (p phase) String() string {
	switch p {
	case phaseUpgrade:
		return "upgrading"
	case phaseHello:
		return "saying hello"
	case phaseConnect:
		return "connecting"
	case phaseJoin:
		return "joining"
	case phaseReady:
		return "ready"
	case phaseOperate:
		return "joining or leaving"
	case phaseAsk:
		return "asking"
	case phaseCounted:
		return "asking for the count"
	case phaseClose:
		return "closing"
	}
	return "unknown"
}

type clientConn struct {
	fd        int
	number    int
	phase     phase
	publisher bool
	outside   bool // does not join while it is set up
	joined    bool
	room      *clientRoom
	next      uint64 // number of the next message, or of the next ask to be answered
	asked     uint64 // asks sent
	listed    bool   // in client.free
	operation uint64 // token of the last join or leave
	partial   []byte
}

const (
	connectToken = "1"
	joinToken    = "2"
)

var (
	helloFrame   = appendMasked(nil, opText, []byte("M"))
	connectFrame = appendMasked(nil, opText, []byte(connectRequest(connectToken)))
	closeFrame   = appendMasked(nil, opClose, []byte{0x03, 0xe8}) // 1000, normal
	pingFrame    = appendMasked(nil, opPing, nil)
)

// launch opens a connection and begins to set it up.
func (c *client) launch(number int, room *clientRoom, publisher, outside bool) error {
	fd, err := dial(c.address)
	if err != nil {
		return err
	}
	if fd >= len(c.conns) {
		closeSocket(fd)
		return fmt.Errorf("bench: more than %d open files", len(c.conns))
	}
	c.conns[fd] = &clientConn{fd: fd, number: number, phase: phaseUpgrade, publisher: publisher, outside: outside, room: room}
	c.inFlight++
	if err := c.poller.add(fd); err != nil {
		return err
	}
	return writeSocket(fd, c.upgrade)
}

// finish closes a connection that was meant to end.
func (c *client) finish(conn *clientConn) {
	c.conns[conn.fd] = nil
	closeSocket(conn.fd)
	c.received++
	if c.closed != nil {
		c.closed(conn)
	}
}

// readable reads once and handles every whole frame.
func (c *client) readable(conn *clientConn) error {
	kept := copy(c.buffer, conn.partial)
	n, errno := readSocket(conn.fd, c.buffer[kept:])
	if errno == syscall.EAGAIN {
		return nil
	}
	if errno != 0 || n == 0 {
		if conn.phase == phaseClose {
			c.finish(conn)
			return nil
		}
		return fmt.Errorf("bench: the server ended the connection (%d %w)", n, errno)
	}
	var now int64
	if c.sampling {
		now = c.now()
	}
	data := c.buffer[:kept+n]
	if conn.phase == phaseUpgrade {
		size, err := parseUpgrade(data)
		if err != nil {
			return err
		}
		if size > 0 {
			data = data[size:]
			conn.phase = phaseHello
			if err := writeSocket(conn.fd, helloFrame); err != nil {
				return err
			}
		}
	}
	for conn.phase != phaseUpgrade && len(data) > 0 && c.conns[conn.fd] == conn {
		if conn.phase == phaseReady {
			if number, ok := conn.room.form.number(data); ok {
				if err := c.deliver(conn, number, now); err != nil {
					return err
				}
				data = data[len(conn.room.form.received):]
				continue
			}
		}
		if conn.phase == phaseAsk && c.echo.answers(data, conn.next) {
			if err := c.answer(conn); err != nil {
				return err
			}
			data = data[len(c.echo.received):]
			continue
		}
		f, size, err := parseFrame(data)
		if err != nil {
			return err
		}
		if size == 0 {
			break
		}
		if err := c.handle(conn, f); err != nil {
			return err
		}
		data = data[size:]
	}
	conn.partial = append(conn.partial[:0], data...)
	return nil
}

// deliver checks a message's number and counts it.
func (c *client) deliver(conn *clientConn, number uint64, now int64) error {
	room := conn.room
	switch {
	case conn.publisher:
		return fmt.Errorf("bench: the sender got its own message %d", number)
	case number < conn.next:
		return fmt.Errorf("bench: message %d came again or late, after %d", number, conn.next-1)
	case number > conn.next:
		return fmt.Errorf("bench: message %d came instead of %d, which is lost or late", number, conn.next)
	case number >= room.sent:
		return fmt.Errorf("bench: message %d was never sent", number)
	}
	conn.next++
	c.received++
	c.deliveries++
	slot := number % ring
	if c.sampling && len(c.latencies) < maxSamples {
		c.latencies = append(c.latencies, now-room.sentTimes[slot])
	}
	if room.counts[slot]++; room.counts[slot] == room.receivers {
		room.counts[slot] = 0
		room.completed++
		if !room.listed {
			room.listed = true
			c.complete = append(c.complete, room)
		}
	}
	return nil
}

// handle takes a frame that is not an expected message.
func (c *client) handle(conn *clientConn, f frame) error {
	c.received++
	switch f.opcode {
	case opPing:
		c.outgoing = appendMasked(c.outgoing[:0], opPong, f.payload)
		return writeSocket(conn.fd, c.outgoing)
	case opPong:
		c.pongs++
		return nil
	case opClose:
		if conn.phase != phaseClose {
			return fmt.Errorf("bench: the server closed with %q", f.payload)
		}
		c.finish(conn)
		return nil
	}
	switch {
	case f.opcode != opText:
	case conn.phase == phaseHello && len(f.payload) > 1 && f.payload[0] == 'A':
		conn.phase = phaseConnect
		return writeSocket(conn.fd, connectFrame)
	case conn.phase == phaseConnect && string(f.payload) == connectToken+emptyAnswer:
		if conn.outside {
			conn.phase = phaseReady
			return c.ready(conn)
		}
		conn.phase = phaseJoin
		return writeSocket(conn.fd, conn.room.joinFrame)
	case conn.phase == phaseJoin && string(f.payload) == joinToken+emptyAnswer:
		conn.phase, conn.joined = phaseReady, true
		return c.ready(conn)
	case conn.phase == phaseOperate && string(f.payload) == positiveAnswer(strconv.FormatUint(conn.operation, 10)):
		return c.answered(conn)
	case conn.phase == phaseCounted && string(f.payload) == countedRequest+strconv.FormatUint(c.emitted, 10):
		conn.phase = phaseReady
		c.inFlight--
		return nil
	}
	return fmt.Errorf("bench: unexpected frame, opcode %d: %.200q", f.opcode, f.payload)
}
