//go:build linux

package load

import (
	"fmt"
	"strconv"
	"syscall"

	"github.com/stoa-io/stoa/internal/load/protocol"
	"github.com/stoa-io/stoa/internal/load/rawnet"
)

// A phase is the state of a connection.
type phase uint8

const (
	phaseUpgrade phase = iota + 1 // waits for the response to the upgrade
	phaseHello                    // waits for the acknowledgment
	phaseConnect                  // waits for the answer to the connect
	phaseJoin                     // waits for the answer to the join
	phaseReady                    // receives messages
	phaseOperate                  // waits for the answer to a join or leave
	phaseAsk                      // waits for the answers to asks
	phaseCounted                  // waits for the number of counted emits
	phaseClose                    // waits for the close
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

type conn struct {
	fd        int
	number    int
	phase     phase
	publisher bool
	outside   bool // does not join while it is set up
	joined    bool
	positions bool // its messages carry them
	room      *room
	next      uint64 // number of the next message, or of the next ask to be answered
	asked     uint64 // asks sent
	listed    bool   // in Client.free
	operation uint64 // token of the last join or leave
	partial   []byte
}

const (
	connectToken = "1"
	joinToken    = "2"
)

var (
	helloFrame = protocol.AppendMasked(nil, protocol.OpText, []byte("M"))
	// positionsFrame is the hello of a client that knows positions.
	positionsFrame = protocol.AppendMasked(nil, protocol.OpText, []byte("M positions"))

	connectFrame = protocol.AppendMasked(nil, protocol.OpText, []byte(protocol.ConnectRequest(connectToken)))
	closeFrame   = protocol.AppendMasked(nil, protocol.OpClose, []byte{0x03, 0xe8}) // 1000, normal
	pingFrame    = protocol.AppendMasked(nil, protocol.OpPing, nil)
)

// launch opens a connection and starts to set it up.
func (c *Client) launch(number int, room *room, publisher, outside bool) error {
	fd, err := rawnet.Dial(c.address)
	if err != nil {
		return err
	}
	if fd >= len(c.conns) {
		rawnet.Close(fd)
		return fmt.Errorf("load: more than %d open files", len(c.conns))
	}
	c.conns[fd] = &conn{fd: fd, number: number, phase: phaseUpgrade, publisher: publisher, outside: outside, room: room,
		positions: &c.hello[0] == &positionsFrame[0]}
	c.inFlight++
	if err := c.poller.Add(fd); err != nil {
		return err
	}
	return rawnet.Write(fd, c.upgrades[number%len(c.upgrades)])
}

// finish closes a connection after an intended close.
func (c *Client) finish(conn *conn) {
	c.conns[conn.fd] = nil
	rawnet.Close(conn.fd)
	c.received++
	if c.closed != nil {
		c.closed(conn)
	}
}

// readable reads once and handles every complete frame.
func (c *Client) readable(conn *conn) error {
	kept := copy(c.buffer, conn.partial)
	n, errno := rawnet.Read(conn.fd, c.buffer[kept:])
	if errno == syscall.EAGAIN {
		return nil
	}
	if errno != 0 || n == 0 {
		if conn.phase == phaseClose {
			c.finish(conn)
			return nil
		}
		return fmt.Errorf("load: the server closed the connection (%d %w)", n, errno)
	}
	var now int64
	if c.sampling {
		now = c.now()
	}
	data := c.buffer[:kept+n]
	if conn.phase == phaseUpgrade {
		size, err := protocol.ParseUpgrade(data)
		if err != nil {
			return err
		}
		if size > 0 {
			data = data[size:]
			conn.phase = phaseHello
			if err := rawnet.Write(conn.fd, c.hello); err != nil {
				return err
			}
		}
	}
	for conn.phase != phaseUpgrade && len(data) > 0 && c.conns[conn.fd] == conn {
		if conn.phase == phaseReady {
			if number, size := conn.message(data); size > 0 {
				if err := c.deliver(conn, number, now); err != nil {
					return err
				}
				data = data[size:]
				continue
			}
		}
		if conn.phase == phaseAsk && c.echo.Answers(data, conn.next) {
			if err := c.answer(conn); err != nil {
				return err
			}
			data = data[c.echo.Size():]
			continue
		}
		f, size, err := protocol.ParseFrame(data)
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

// message returns the number and the size of the message at the start of data.
// The size is 0 if there is none of the kind that the connection expects.
func (conn *conn) message(data []byte) (number uint64, size int) {
	template := &conn.room.template
	if conn.positions {
		return template.Positioned(data)
	}
	number, ok := template.Number(data)
	if !ok {
		return 0, 0
	}
	return number, template.Size()
}

// deliver checks a message's number and counts it.
func (c *Client) deliver(conn *conn, number uint64, now int64) error {
	room := conn.room
	switch {
	case conn.publisher:
		return fmt.Errorf("load: the sender received its own message %d", number)
	case number < conn.next:
		return fmt.Errorf("load: message %d is repeated or late, after %d", number, conn.next-1)
	case number > conn.next:
		return fmt.Errorf("load: received message %d instead of %d, which is lost or late", number, conn.next)
	case number >= room.sent:
		return fmt.Errorf("load: received message %d, which was never sent", number)
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

// handle handles a frame other than an expected message.
func (c *Client) handle(conn *conn, f protocol.Frame) error {
	c.received++
	switch f.Opcode {
	case protocol.OpPing:
		c.outgoing = protocol.AppendMasked(c.outgoing[:0], protocol.OpPong, f.Payload)
		return rawnet.Write(conn.fd, c.outgoing)
	case protocol.OpPong:
		c.pongs++
		return nil
	case protocol.OpClose:
		if conn.phase != phaseClose {
			return fmt.Errorf("load: the server sent a close frame with %q", f.Payload)
		}
		c.finish(conn)
		return nil
	}
	switch {
	case f.Opcode != protocol.OpText:
	case conn.phase == phaseHello && len(f.Payload) > 1 && f.Payload[0] == 'A':
		conn.phase = phaseConnect
		return rawnet.Write(conn.fd, connectFrame)
	case conn.phase == phaseConnect && string(f.Payload) == connectToken+protocol.EmptyAnswer:
		if conn.outside {
			conn.phase = phaseReady
			return c.ready(conn)
		}
		conn.phase = phaseJoin
		return rawnet.Write(conn.fd, conn.room.joinFrame)
	case conn.phase == phaseJoin && string(f.Payload) == joinToken+protocol.EmptyAnswer:
		conn.phase, conn.joined = phaseReady, true
		return c.ready(conn)
	case conn.phase == phaseOperate && string(f.Payload) == protocol.PositiveAnswer(strconv.FormatUint(conn.operation, 10)):
		return c.answered(conn)
	case conn.phase == phaseCounted && string(f.Payload) == protocol.CountedRequest+strconv.FormatUint(c.emitted, 10):
		conn.phase = phaseReady
		c.inFlight--
		return nil
	}
	return fmt.Errorf("load: unexpected frame, opcode %d: %.200q", f.Opcode, f.Payload)
}
