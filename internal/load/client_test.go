//go:build linux

package load

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stoa-io/stoa/internal/load/protocol"
	"github.com/stoa-io/stoa/internal/load/rawnet"
)

// The tests of whole commands are in bench, with the servers that answer
// them.

func newTestClient(tb testing.TB) *Client {
	tb.Helper()
	c, err := New()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	return c
}

// connect gives the client an open connection and returns the server's end of
// it.
func connect(tb testing.TB, c *Client) (*conn, int) {
	tb.Helper()
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { rawnet.Close(ends[1]) })
	opened := &conn{fd: ends[0], room: c.roomAt(0), phase: phaseReady}
	c.conns[opened.fd] = opened
	c.open = append(c.open, opened)
	if err := c.poller.Add(opened.fd); err != nil {
		tb.Fatal(err)
	}
	return opened, ends[1]
}

// A server that handles less than it receives, or answers something else, must
// not look fast.
func TestClientNoticesAWrongAnswer(t *testing.T) {
	for _, test := range []struct {
		name   string
		phase  phase
		answer func(*Client) []byte
	}{
		{"count", phaseCounted, func(c *Client) []byte {
			c.emitted = 5
			return []byte(protocol.CountedRequest + strconv.Itoa(4))
		}},
		{"number", phaseAsk, func(c *Client) []byte {
			// The client has received the answer to ask 0 and waits for that to
			// ask 1.
			c.open[0].next, c.open[0].asked = 1, 2
			f, _, err := protocol.ParseFrame(c.echo.Append(nil, 0))
			if err != nil {
				t.Fatal(err)
			}
			return f.Payload
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newTestClient(t)
			conn, server := connect(t, c)
			conn.phase = test.phase
			if err := rawnet.Write(server, protocol.AppendFrame(nil, protocol.OpText, test.answer(c))); err != nil {
				t.Fatal(err)
			}
			err := c.until(func() bool { return false }, "nothing", nil)
			if err == nil || !strings.Contains(err.Error(), "unexpected frame") {
				t.Errorf("error %v, want one with %q", err, "unexpected frame")
			}
		})
	}
	t.Run("never asked", func(t *testing.T) {
		c := newTestClient(t)
		if err := c.answer(&conn{next: 5, asked: 5}); err == nil {
			t.Error("an answer to ask 5 of 5 (0 to 4): no error, want one")
		}
	})
}

func TestDeliverChecksNumbers(t *testing.T) {
	for _, test := range []struct {
		name      string
		number    uint64
		publisher bool
		want      string // part of the error; empty: none
	}{
		{name: "next", number: 5},
		{name: "again", number: 4, want: "is repeated or late"},
		{name: "gap", number: 6, want: "lost or late"},
		{name: "to the sender", number: 5, publisher: true, want: "the sender received its own"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newTestClient(t)
			room := c.roomAt(0)
			room.counts, room.receivers, room.sent = make([]uint32, ring), 1, 10
			err := c.deliver(&conn{room: room, next: 5, publisher: test.publisher}, test.number, 0)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("message %d after 4: error %v, want one with %q", test.number, err, test.want)
			}
		})
	}
	t.Run("never sent", func(t *testing.T) {
		c := newTestClient(t)
		room := c.roomAt(0)
		room.counts, room.receivers, room.sent = make([]uint32, ring), 1, 5
		if err := c.deliver(&conn{room: room, next: 5}, 5, 0); err == nil {
			t.Error("message 5 of 5 (0 to 4): no error, want one")
		}
	})
}

func TestClientReportsARefusedConnection(t *testing.T) {
	c := newTestClient(t)
	// A port without a listener.
	fd, address, err := rawnet.Listen()
	if err != nil {
		t.Fatal(err)
	}
	rawnet.Close(fd)
	_, err = c.Do(Command{Action: ActionOpen, Address: address.String(), Count: 1, Rooms: 1, ServerPID: os.Getpid()})
	if err == nil || !strings.Contains(err.Error(), "connect") {
		t.Errorf("no listener: error %v, want that of connect", err)
	}
}

func TestPercentile(t *testing.T) {
	hundred := make([]int64, 100)
	for i := range hundred {
		hundred[i] = int64(i + 1)
	}
	for _, test := range []struct {
		part float64
		want int64
	}{{0, 1}, {0.5, 50}, {0.99, 99}, {1, 100}} {
		if got := Percentile(hundred, test.part); got != test.want {
			t.Errorf("percentile %v of 1 to 100 is %d, want %d", test.part, got, test.want)
		}
	}
	if got := Percentile(nil, 0.5); got != 0 {
		t.Errorf("percentile of nothing is %d, want 0", got)
	}
}
