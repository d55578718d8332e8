package engine

import (
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/internal/closecode"
)

// recorder keeps the messages of a connection.
type recorder struct {
	testConn
	messages []string
}

func (r *recorder) Message(payload []byte, _ bool) { r.messages = append(r.messages, string(payload)) }

// openRecorded opens a connection whose bytes the test brings with arrive.
func openRecorded(t *testing.T, l *Loop) (*Conn, *recorder) {
	t.Helper()
	c := openConn(l)
	nc, other := net.Pipe()
	t.Cleanup(func() { _, _ = nc.Close(), other.Close() })
	c.blocking = newBlockingIO(nc, c)
	seen := &recorder{testConn: testConn{shard: l.shard.(*testShard)}}
	c.Init(seen)
	return c, seen
}

// arrive lets bytes arrive from the socket, in one turn.
func arrive(c *Conn, data []byte) {
	b := c.blocking
	select {
	case <-b.resume:
	default:
	}
	b.reading, b.unread = false, data
	c.onReadable(false)
}

func clientText(text string) []byte {
	return ws.MustCompileFrame(ws.MaskFrameInPlaceWith(ws.NewTextFrame([]byte(text)), [4]byte{1, 2, 3, 4}))
}

// Of a connection that sends thousands of small frames at once, a turn handles
// a bounded number. The turns after it handle the rest, in order, and across a
// pause; connections that flood together divide a turn.
func TestFloodTakesTurns(t *testing.T) {
	const count = 1000
	l := idleLoop(t, Timeouts{})
	c, seen := openRecorded(t, l)
	var want []string
	var data []byte
	for i := range count {
		want = append(want, fmt.Sprint(i))
		data = append(data, clientText(want[i])...)
	}
	arrive(c, data)
	if got := len(seen.messages); got != maxFramesPerTurn {
		t.Errorf("%d messages are handled in the first turn, want %d", got, maxFramesPerTurn)
	}
	c.Pause(PauseSlow)
	l.readReady()
	if got := len(seen.messages); got != maxFramesPerTurn {
		t.Errorf("%d messages are handled although the connection is paused, want %d", got, maxFramesPerTurn)
	}
	c.Resume(PauseSlow)
	other, alsoSeen := openRecorded(t, l)
	arrive(other, data)
	for l.busy() {
		before, also := len(seen.messages), len(alsoSeen.messages)
		l.readReady()
		if got := len(seen.messages) - before + len(alsoSeen.messages) - also; got > floodFrames {
			t.Fatalf("%d messages are handled in one turn, want at most %d", got, floodFrames)
		}
	}
	if !slices.Equal(seen.messages, want) || !slices.Equal(alsoSeen.messages, want) {
		t.Errorf("%d and %d messages are handled in some order, want %d in the order sent", len(seen.messages), len(alsoSeen.messages), count)
	}
	if c.in != nil || other.in != nil {
		t.Error("handled bytes are kept")
	}
}

// A client that sends without a pause is in the middle of some message whenever
// it is read. Only the time of one message counts.
func TestManyMessagesHaveNoDeadline(t *testing.T) {
	const limit = 1000 // milliseconds
	l := idleLoop(t, Timeouts{Message: limit * time.Millisecond})
	c, seen := openRecorded(t, l)
	frame := clientText("some text")
	half := len(frame) / 2
	rest := slices.Concat(frame[half:], frame[:half])
	arrive(c, frame[:half])
	for range 10 {
		l.now += limit - 100
		c.check()
		arrive(c, slices.Clone(rest))
	}
	if c.state != connOpen || len(seen.messages) != 10 {
		t.Fatalf("after %d messages: state %d, closed with %d; want 10 and an open connection", len(seen.messages), c.state, c.closeCode)
	}
	l.now += limit
	c.check()
	if c.state == connOpen {
		t.Error("a message that takes longer than the limit does not close its connection")
	}
}

// A client that is about to be closed by the drain has sent messages that the
// loop has not read yet. They are handled before the close frame.
func TestDrainHandlesWhatHasArrived(t *testing.T) {
	const count = 10 * maxFramesPerTurn
	l := idleLoop(t, Timeouts{})
	c, seen := openRecorded(t, l)
	var data []byte
	for range count {
		data = append(data, clientText("some text")...)
	}
	c.blocking.unread, c.blocking.reading = data, false
	l.startDrain(0, 1000, "over")
	if got := len(seen.messages); got != count {
		t.Errorf("%d of %d messages are handled", got, count)
	}
	if c.state != connClosing || c.closeCode != closecode.GoingAway {
		t.Errorf("state %d, closed with %d; want a close with %d", c.state, c.closeCode, closecode.GoingAway)
	}
}

// A connection that is not read for a moment is closed when it was read again,
// or when it was not read for too long.
func TestDrainWaitsForAPause(t *testing.T) {
	const patience = 1000
	for name, resumes := range map[string]bool{"resumes": true, "stays paused": false} {
		t.Run(name, func(t *testing.T) {
			l := idleLoop(t, Timeouts{})
			c, seen := openRecorded(t, l)
			c.blocking.unread, c.blocking.reading = clientText("some text"), false
			c.Pause(PauseShare)
			l.startDrain(0, patience, "over")
			l.now += patience - 1
			l.paceDrain()
			if c.state != connOpen || len(seen.messages) != 0 {
				t.Fatalf("state %d, %d messages are handled; want an open connection and none", c.state, len(seen.messages))
			}
			want := 0
			if resumes {
				c.Resume(PauseShare)
				want = 1
			} else {
				l.now++
			}
			l.paceDrain()
			if c.state != connClosing || len(seen.messages) != want {
				t.Errorf("state %d, %d messages are handled; want a close after %d", c.state, len(seen.messages), want)
			}
		})
	}
}
