//go:build linux

package main

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stoa-io/stoa/node"
)

// startTestFloor runs a floor in this process until the test ends. With lose, it
// leaves out each delivery whose count lose divides.
func startTestFloor(tb testing.TB, lose int) string {
	tb.Helper()
	f, address, err := newFloor(false)
	if err != nil {
		tb.Fatal(err)
	}
	f.lose = lose
	var pipe [2]int
	if err := syscall.Pipe2(pipe[:], syscall.O_CLOEXEC); err != nil {
		tb.Fatal(err)
	}
	f.stop = pipe[0]
	if err := f.poller.add(f.stop); err != nil {
		tb.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- f.serve() }()
	tb.Cleanup(func() {
		closeSocket(pipe[1])
		err := <-served
		// A client that notices the loss goes while the floor is still writing.
		if gone := errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET); err != nil && !(lose > 0 && gone) {
			tb.Errorf("floor: %v", err)
		}
		closeSocket(pipe[0])
	})
	return address.String()
}

func newTestClient(tb testing.TB) *client {
	tb.Helper()
	c, err := newClient(false)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.close)
	return c
}

func mustCarryOut(tb testing.TB, c *client, address string, cmd command) report {
	tb.Helper()
	cmd.Address, cmd.ServerPID = address, os.Getpid()
	r, err := c.carryOut(cmd)
	if err != nil {
		tb.Fatalf("%s: %v", cmd.Action, err)
	}
	return r
}

func TestClientAgainstFloor(t *testing.T) {
	const rooms, perRoom = 3, 20
	address := startTestFloor(t, 0)
	c := newTestClient(t)
	opened := mustCarryOut(t, c, address, command{Action: actionOpen, Count: rooms * perRoom, PerRoom: perRoom, Publishers: true})
	if want := uint64(rooms*perRoom + rooms); opened.Operations != want {
		t.Fatalf("opened %d connections, want %d", opened.Operations, want)
	}
	for _, cmd := range []command{
		{Action: actionPublish, Outstanding: 1, Duration: 50 * time.Millisecond},
		{Action: actionPublish, Outstanding: 64, Duration: 50 * time.Millisecond},
		{Action: actionPace, Rate: 100, Duration: 200 * time.Millisecond},
	} {
		r := mustCarryOut(t, c, address, cmd)
		if r.Messages == 0 || r.Deliveries != r.Messages*perRoom {
			t.Errorf("%+v: %d messages gave %d deliveries, want %d for each", cmd, r.Messages, r.Deliveries, perRoom)
		}
	}
	if r := mustCarryOut(t, c, address, command{Action: actionPing}); r.Operations != opened.Operations {
		t.Errorf("pinged %d connections, want %d", r.Operations, opened.Operations)
	}
}

func TestClientOperations(t *testing.T) {
	address := startTestFloor(t, 0)
	c := newTestClient(t)
	if r := mustCarryOut(t, c, address, command{Action: actionSetUp, Count: 150, Rooms: 4}); r.Operations != 150 {
		t.Errorf("set up %d connections, want 150", r.Operations)
	}
	mustCarryOut(t, c, address, command{Action: actionOpen, Count: 8, Rooms: 2, Outside: true})
	for range 2 {
		r := mustCarryOut(t, c, address, command{Action: actionOperate, Duration: 50 * time.Millisecond})
		if r.Operations == 0 || r.Operations%2 != 0 {
			t.Errorf("%d operations, want as many joins as leaves", r.Operations)
		}
	}
}

func TestClientAsks(t *testing.T) {
	for name, address := range map[string]string{"floor": startTestFloor(t, 0), "handlers": startTestHandlers(t)} {
		t.Run(name, func(t *testing.T) {
			const connections = 20
			c := newTestClient(t)
			mustCarryOut(t, c, address, command{Action: actionOpen, Count: connections, Rooms: 1, Outside: true})
			for _, cmd := range []command{
				{Action: actionAsk, Outstanding: 1, Duration: 50 * time.Millisecond},
				{Action: actionAsk, Outstanding: 16, Duration: 50 * time.Millisecond},
				{Action: actionRound, Outstanding: 1, Duration: 50 * time.Millisecond},
				{Action: actionRound, Outstanding: 30, Duration: 50 * time.Millisecond},
				{Action: actionEmit, Outstanding: 1, Duration: 50 * time.Millisecond},
				{Action: actionEmit, Outstanding: 16, Duration: 50 * time.Millisecond},
			} {
				if r := mustCarryOut(t, c, address, cmd); r.Operations < uint64(cmd.Outstanding) {
					t.Errorf("%+v: %d operations, want at least %d", cmd, r.Operations, cmd.Outstanding)
				}
			}
		})
	}
}

func startTestHandlers(tb testing.TB) string {
	tb.Helper()
	n, err := newHandlers(1, "")
	if err != nil {
		tb.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- n.Serve() }()
	tb.Cleanup(func() {
		n.Close()
		if err := <-served; !errors.Is(err, node.ErrClosed) {
			tb.Errorf("Serve: %v, want %v", err, node.ErrClosed)
		}
	})
	return n.Addr().String()
}

// A server that handles less than it got, or answers something else, must not
// look fast.
func TestClientNoticesAWrongAnswer(t *testing.T) {
	address := startTestFloor(t, 0)
	open := command{Action: actionOpen, Count: 2, Rooms: 1, Outside: true}
	t.Run("count", func(t *testing.T) {
		c := newTestClient(t)
		mustCarryOut(t, c, address, open)
		c.emitted++ // and never sent
		_, err := c.carryOut(command{Action: actionEmit, Outstanding: 4, Duration: time.Millisecond, ServerPID: os.Getpid()})
		if err == nil || !strings.Contains(err.Error(), "unexpected frame") {
			t.Errorf("an emit that was not counted: error %v, want one that says so", err)
		}
	})
	t.Run("number", func(t *testing.T) {
		c := newTestClient(t)
		mustCarryOut(t, c, address, open)
		c.beginAsking()
		c.open[0].next++ // asks 0 and waits for 1
		c.outgoing = c.echo.appendAsk(c.outgoing[:0], 0)
		if err := writeSocket(c.open[0].fd, c.outgoing); err != nil {
			t.Fatal(err)
		}
		err := c.until(func() bool { return false }, "nothing", nil)
		if err == nil || !strings.Contains(err.Error(), "unexpected frame") {
			t.Errorf("the answer to another ask: error %v, want one that says so", err)
		}
	})
	t.Run("never asked", func(t *testing.T) {
		c := newTestClient(t)
		if err := c.answer(&clientConn{next: 5, asked: 5}); err == nil {
			t.Error("an answer to ask 5 of 5 (0 to 4): no error, want one")
		}
	})
}

func TestClientNoticesALoss(t *testing.T) {
	address := startTestFloor(t, 500)
	c := newTestClient(t)
	mustCarryOut(t, c, address, command{Action: actionOpen, Count: 20, Rooms: 1, Publishers: true})
	_, err := c.carryOut(command{Action: actionPublish, Outstanding: 64, Duration: time.Second, ServerPID: os.Getpid()})
	if err == nil || !strings.Contains(err.Error(), "lost or late") {
		t.Errorf("a floor that loses one delivery in 500: error %v, want one that says so", err)
	}
}

func TestDeliverChecksNumbers(t *testing.T) {
	for _, test := range []struct {
		name      string
		number    uint64
		publisher bool
		want      string // part of the error; empty: none
	}{
		{name: "next", number: 5},
		{name: "again", number: 4, want: "came again"},
		{name: "gap", number: 6, want: "lost or late"},
		{name: "to the sender", number: 5, publisher: true, want: "the sender got its own"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newTestClient(t)
			room := c.room(0)
			room.counts, room.receivers, room.sent = make([]uint32, ring), 1, 10
			err := c.deliver(&clientConn{room: room, next: 5, publisher: test.publisher}, test.number, 0)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("message %d after 4: error %v, want one with %q", test.number, err, test.want)
			}
		})
	}
	t.Run("never sent", func(t *testing.T) {
		c := newTestClient(t)
		room := c.room(0)
		room.counts, room.receivers, room.sent = make([]uint32, ring), 1, 5
		if err := c.deliver(&clientConn{room: room, next: 5}, 5, 0); err == nil {
			t.Error("message 5 of 5 (0 to 4): no error, want one")
		}
	})
}

func TestClientSaysWhatTheServerDid(t *testing.T) {
	c := newTestClient(t)
	// A port on which nobody listens.
	fd, address, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	closeSocket(fd)
	_, err = c.carryOut(command{Action: actionOpen, Address: address.String(), Count: 1, Rooms: 1, ServerPID: os.Getpid()})
	if err == nil || !strings.Contains(err.Error(), "connect") {
		t.Errorf("nobody listens: error %v, want that of connect", err)
	}
}
