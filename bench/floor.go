//go:build linux

package main

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
)

// A floor is what a relaying server cannot do without: one epoll loop, one
// read(2) per readable socket and one write(2) per delivery. It believes
// everything it reads, knows no limits, times nothing out and answers what it can
// with canned bytes. It speaks just enough of the protocol for this benchmark.
type floor struct {
	poller   *poller
	listener int
	// stop is a descriptor whose readiness ends the loop, or -1.
	stop     int
	conns    []*floorConn // by descriptor
	rooms    map[string]*floorRoom
	buffer   []byte
	outgoing []byte
	// lose skips each delivery whose count it divides; zero loses none. It shows
	// that the client notices.
	lose      int
	delivered int
	counted   int // emits outside of rooms
}

type floorConn struct {
	upgraded bool
	fd       int32
	place    int32 // in room.members
	room     *floorRoom
	partial  []byte
}

type floorRoom struct {
	members []*floorConn
}

var (
	floorUpgraded = []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + upgradeAccept + "\r\n\r\n")
	floorHello   = appendFrame(nil, opText, []byte("Afloor-0123456789abcdefghijkl"))
	floorHealthy = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n")

	semicolon = []byte(";")

	errFloorClosed = errors.New("bench: the peer has closed")
)

// runFloor is "bench floor": it prints its address and serves until standard
// input ends.
func runFloor(stdout io.Writer) error {
	debug.SetGCPercent(-1)
	if err := raiseFileLimit(); err != nil {
		return err
	}
	f, address, err := newFloor(true)
	if err != nil {
		return err
	}
	f.stop = syscall.Stdin
	if err := f.poller.add(f.stop); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "floor on http://%s\n", address)
	return f.serve()
}

func newFloor(raw bool) (*floor, netip.AddrPort, error) {
	poller, err := newPoller(raw)
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	listener, address, err := listen()
	if err != nil {
		poller.close()
		return nil, address, err
	}
	f := &floor{poller: poller, listener: listener, stop: -1, conns: make([]*floorConn, maxFiles),
		rooms: make(map[string]*floorRoom), buffer: make([]byte, 64<<10)}
	return f, address, poller.add(listener)
}

// serve runs until the stop descriptor is ready, then closes everything.
func (f *floor) serve() error {
	defer f.close()
	for {
		events, err := f.poller.wait(-1)
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
				if err = f.readable(f.conns[fd]); errors.Is(err, errFloorClosed) {
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
			closeSocket(int(c.fd))
		}
	}
	closeSocket(f.listener)
	f.poller.close()
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
		if err := f.poller.add(int(fd)); err != nil {
			return err
		}
		f.conns[fd] = &floorConn{fd: int32(fd)}
	}
}

func (f *floor) drop(c *floorConn) {
	f.leave(c)
	f.conns[c.fd] = nil
	closeSocket(int(c.fd))
}

func (f *floor) readable(c *floorConn) error {
	kept := copy(f.buffer, c.partial)
	n, errno := readSocket(int(c.fd), f.buffer[kept:])
	if errno == syscall.EAGAIN {
		return nil
	}
	if errno != 0 || n == 0 {
		return errFloorClosed
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
		frame, size, err := parseFrame(data)
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

// request answers the HTTP request at the start of data and returns its size.
func (f *floor) request(c *floorConn, data []byte) (int, error) {
	end := bytes.Index(data, []byte("\r\n\r\n"))
	if end < 0 {
		return 0, nil
	}
	switch {
	case bytes.HasPrefix(data, []byte("GET /metrics ")):
		return end + 4, writeSocket(int(c.fd), floorMetrics())
	case bytes.HasPrefix(data, []byte("GET "+endpoint+" ")):
		c.upgraded = true
		return end + 4, writeSocket(int(c.fd), floorUpgraded)
	default:
		return end + 4, writeSocket(int(c.fd), floorHealthy)
	}
}

// floorMetrics says as much as the controller reads.
func floorMetrics() []byte {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	body := fmt.Sprintf("%s %d\n%s %d\n", metricMallocs, m.Mallocs, metricHeapInUse, m.HeapInuse)
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func (f *floor) handle(c *floorConn, in frame) error {
	switch in.opcode {
	case opPing:
		f.outgoing = appendFrame(f.outgoing[:0], opPong, in.payload)
		return writeSocket(int(c.fd), f.outgoing)
	case opClose:
		f.outgoing = appendFrame(f.outgoing[:0], opClose, in.payload)
		if err := writeSocket(int(c.fd), f.outgoing); err != nil {
			return err
		}
		return errFloorClosed
	case opText:
		switch {
		case len(in.payload) == 0:
			return nil
		case in.payload[0] == ';':
			return f.relay(c, in.payload)
		case in.payload[0] == 'M':
			return writeSocket(int(c.fd), floorHello)
		default:
			return f.system(c, in.payload)
		}
	}
	return nil
}

// relay writes the message to every other member of the sender's room. Outside of
// rooms nothing but counted emits are sent.
func (f *floor) relay(c *floorConn, payload []byte) error {
	if c.room == nil {
		f.counted++
		return nil
	}
	f.outgoing = appendFrame(f.outgoing[:0], opText, payload)
	for _, member := range c.room.members {
		if member == c {
			continue
		}
		if f.delivered++; f.lose > 0 && f.delivered%f.lose == 0 {
			continue
		}
		if err := writeSocket(int(member.fd), f.outgoing); err != nil {
			return err
		}
	}
	return nil
}

// system joins or leaves, and answers whatever it is asked positively; an echo with
// itself.
func (f *floor) system(c *floorConn, payload []byte) error {
	token, rest, _ := bytes.Cut(payload, semicolon)
	_, rest, _ = bytes.Cut(rest, semicolon)
	room, rest, _ := bytes.Cut(rest, semicolon)
	name, _, found := bytes.Cut(rest, semicolon)
	switch {
	case !found:
		return fmt.Errorf("bench: the floor cannot read %q", payload)
	case string(name) == eventEcho:
		f.outgoing = appendFrame(f.outgoing[:0], opText, payload)
		return writeSocket(int(c.fd), f.outgoing)
	case string(name) == eventCounted:
		f.outgoing = appendFrame(f.outgoing[:0], opText, strconv.AppendInt(slices.Clip(payload), int64(f.counted), 10))
		return writeSocket(int(c.fd), f.outgoing)
	case string(name) == "_OnRoomJoin":
		f.join(c, room)
	case string(name) == "_OnRoomLeave":
		f.leave(c)
	}
	f.outgoing = appendHeader(f.outgoing[:0], opText, 0, len(token)+len(emptyAnswer))
	f.outgoing = append(append(f.outgoing, token...), emptyAnswer...)
	return writeSocket(int(c.fd), f.outgoing)
}

func (f *floor) join(c *floorConn, name []byte) {
	room := f.rooms[string(name)]
	if room == nil {
		room = &floorRoom{}
		f.rooms[string(name)] = room
	}
	c.room, c.place = room, int32(len(room.members))
	room.members = append(room.members, c)
}

// leave fills the gap with the room's last member, so that it costs the same in
// every room.
func (f *floor) leave(c *floorConn) {
	room := c.room
	if room == nil {
		return
	}
	last := room.members[len(room.members)-1]
	last.place = c.place
	room.members[c.place] = last
	room.members[len(room.members)-1] = nil
	room.members = room.members[:len(room.members)-1]
	c.room = nil
}
