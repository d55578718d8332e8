//go:build linux

package floor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"syscall"

	"github.com/stoa-io/stoa/internal/load/protocol"
	"github.com/stoa-io/stoa/internal/load/rawnet"
)

// The metrics that the floor serves. Both have the names and the meaning that
// client_golang's Go collector gives them.
const (
	MetricMallocs   = "go_memstats_mallocs_total"
	MetricHeapInUse = "go_memstats_heap_inuse_bytes"
)

// A floor is one epoll loop with its connections.
type floor struct {
	poller   *rawnet.Poller
	listener int
	// stop is a descriptor whose readiness ends the loop, or -1.
	stop     int
	conns    []*conn // by descriptor
	rooms    map[string]*room
	buffer   []byte
	outgoing []byte
	// lose drops each delivery whose number it divides; zero drops none. Tests
	// set it to see that the client notices.
	lose      int
	delivered int
	counted   int // emits outside rooms
}

type conn struct {
	upgraded bool
	fd       int32
	index    int32 // in room.members
	room     *room
	partial  []byte
}

type room struct {
	members []*conn
}

var (
	upgraded = []byte(protocol.UpgradeResponse)
	hello    = protocol.AppendFrame(nil, protocol.OpText, []byte("Afloor-0123456789abcdefghijkl"))
	healthy  = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n")

	semicolon = []byte(";")

	errPeerClosed = errors.New("floor: the peer has closed")
)

// Run prints the address of a floor and serves until the end of standard input.
// It needs the process for itself: it disables the garbage collector, raises
// the limit of open files, and waits without telling Go's scheduler.
func Run(stdout io.Writer) error {
	debug.SetGCPercent(-1)
	if err := rawnet.RaiseFileLimit(); err != nil {
		return err
	}
	f, address, err := newFloor(true)
	if err != nil {
		return err
	}
	f.stop = syscall.Stdin
	if err := f.poller.Add(f.stop); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "floor on http://%s\n", address)
	return f.serve()
}

// newFloor listens on a free port and takes raw for rawnet.NewPoller.
func newFloor(raw bool) (*floor, netip.AddrPort, error) {
	poller, err := rawnet.NewPoller(raw)
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	listener, address, err := rawnet.Listen()
	if err != nil {
		poller.Close()
		return nil, address, err
	}
	f := &floor{poller: poller, listener: listener, stop: -1, conns: make([]*conn, rawnet.MaxFiles),
		rooms: make(map[string]*room), buffer: make([]byte, 64<<10)}
	return f, address, poller.Add(listener)
}

// serve runs until the stop descriptor is ready, then closes all sockets.
func (f *floor) serve() error {
	defer f.close()
	for {
		events, err := f.poller.Wait(-1)
		if err != nil {
			return err
		}
		for i := range events {
			switch fd := int(events[i].Fd); fd {
			case f.stop:
				return nil
			case f.listener:
				err = f.accept()
			default:
				if err = f.readable(f.conns[fd]); errors.Is(err, errPeerClosed) {
					f.drop(f.conns[fd])
					err = nil
				}
			}
			if err != nil {
				return err
			}
		}
	}
}

func (f *floor) close() {
	for _, c := range f.conns {
		if c != nil {
			rawnet.Close(int(c.fd))
		}
	}
	rawnet.Close(f.listener)
	f.poller.Close()
}

func (f *floor) accept() error {
	for {
		fd, _, errno := syscall.RawSyscall6(syscall.SYS_ACCEPT4, uintptr(f.listener), 0, 0, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0, 0)
		if errno == syscall.EAGAIN {
			return nil
		}
		if errno != 0 {
			return fmt.Errorf("accept: %w", errno)
		}
		if err := syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1); err != nil {
			return fmt.Errorf("setsockopt: %w", err)
		}
		if err := f.poller.Add(int(fd)); err != nil {
			return err
		}
		f.conns[fd] = &conn{fd: int32(fd)}
	}
}

func (f *floor) drop(c *conn) {
	f.leave(c)
	f.conns[c.fd] = nil
	rawnet.Close(int(c.fd))
}

func (f *floor) readable(c *conn) error {
	kept := copy(f.buffer, c.partial)
	n, errno := rawnet.Read(int(c.fd), f.buffer[kept:])
	if errno == syscall.EAGAIN {
		return nil
	}
	if errno != 0 || n == 0 {
		return errPeerClosed
	}
	data := f.buffer[:kept+n]
	if !c.upgraded {
		size, err := f.request(c, data)
		if err != nil {
			return err
		}
		data = data[size:]
	}
	for c.upgraded && len(data) > 0 {
		frame, size, err := protocol.ParseFrame(data)
		if err != nil {
			return err
		}
		if size == 0 {
			break
		}
		if err := f.handle(c, frame); err != nil {
			return err
		}
		data = data[size:]
	}
	c.partial = append(c.partial[:0], data...)
	return nil
}

// request answers the HTTP request at the start of data and returns its size,
// or zero if the request is incomplete.
func (f *floor) request(c *conn, data []byte) (int, error) {
	end := bytes.Index(data, []byte("\r\n\r\n"))
	if end < 0 {
		return 0, nil
	}
	switch {
	case bytes.HasPrefix(data, []byte("GET /metrics ")):
		return end + 4, rawnet.Write(int(c.fd), metrics())
	case bytes.HasPrefix(data, []byte("GET "+protocol.Endpoint+" ")):
		c.upgraded = true
		return end + 4, rawnet.Write(int(c.fd), upgraded)
	default:
		return end + 4, rawnet.Write(int(c.fd), healthy)
	}
}

// metrics returns the response to GET /metrics.
func metrics() []byte {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	body := fmt.Sprintf("%s %d\n%s %d\n", MetricMallocs, m.Mallocs, MetricHeapInUse, m.HeapInuse)
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func (f *floor) handle(c *conn, in protocol.Frame) error {
	switch in.Opcode {
	case protocol.OpPing:
		f.outgoing = protocol.AppendFrame(f.outgoing[:0], protocol.OpPong, in.Payload)
		return rawnet.Write(int(c.fd), f.outgoing)
	case protocol.OpClose:
		f.outgoing = protocol.AppendFrame(f.outgoing[:0], protocol.OpClose, in.Payload)
		if err := rawnet.Write(int(c.fd), f.outgoing); err != nil {
			return err
		}
		return errPeerClosed
	case protocol.OpText:
		switch {
		case len(in.Payload) == 0:
			return nil
		case in.Payload[0] == ';':
			return f.relay(c, in.Payload)
		case in.Payload[0] == 'M':
			return rawnet.Write(int(c.fd), hello)
		default:
			return f.system(c, in.Payload)
		}
	}
	return nil
}

// relay writes the message to every other member of the sender's room. A
// message outside a room is an emit to be counted.
func (f *floor) relay(c *conn, payload []byte) error {
	if c.room == nil {
		f.counted++
		return nil
	}
	f.outgoing = protocol.AppendFrame(f.outgoing[:0], protocol.OpText, payload)
	for _, member := range c.room.members {
		if member == c {
			continue
		}
		if f.delivered++; f.lose > 0 && f.delivered%f.lose == 0 {
			continue
		}
		if err := rawnet.Write(int(member.fd), f.outgoing); err != nil {
			return err
		}
	}
	return nil
}

// system executes a system request or an ask and answers it. An echo is
// answered with its own payload, any other request positively.
func (f *floor) system(c *conn, payload []byte) error {
	token, rest, _ := bytes.Cut(payload, semicolon)
	_, rest, _ = bytes.Cut(rest, semicolon)
	room, rest, _ := bytes.Cut(rest, semicolon)
	name, _, found := bytes.Cut(rest, semicolon)
	switch {
	case !found:
		return fmt.Errorf("floor: unexpected request %q", payload)
	case string(name) == protocol.EventEcho:
		f.outgoing = protocol.AppendFrame(f.outgoing[:0], protocol.OpText, payload)
		return rawnet.Write(int(c.fd), f.outgoing)
	case string(name) == protocol.EventCounted:
		f.outgoing = protocol.AppendFrame(f.outgoing[:0], protocol.OpText, strconv.AppendInt(slices.Clip(payload), int64(f.counted), 10))
		return rawnet.Write(int(c.fd), f.outgoing)
	case string(name) == "_OnRoomJoin":
		f.join(c, room)
	case string(name) == "_OnRoomLeave":
		f.leave(c)
	}
	f.outgoing = protocol.AppendHeader(f.outgoing[:0], protocol.OpText, len(token)+len(protocol.EmptyAnswer))
	f.outgoing = append(append(f.outgoing, token...), protocol.EmptyAnswer...)
	return rawnet.Write(int(c.fd), f.outgoing)
}

func (f *floor) join(c *conn, name []byte) {
	joined := f.rooms[string(name)]
	if joined == nil {
		joined = &room{}
		f.rooms[string(name)] = joined
	}
	c.room, c.index = joined, int32(len(joined.members))
	joined.members = append(joined.members, c)
}

// leave moves the room's last member into the gap, so its cost does not depend
// on the room's size.
func (f *floor) leave(c *conn) {
	room := c.room
	if room == nil {
		return
	}
	last := room.members[len(room.members)-1]
	last.index = c.index
	room.members[c.index] = last
	room.members[len(room.members)-1] = nil
	room.members = room.members[:len(room.members)-1]
	c.room = nil
}
