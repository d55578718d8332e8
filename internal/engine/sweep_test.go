package engine

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"
)

// The close codes of the tests' server.
const (
	testSlowCode     uint16 = 4000
	testPingCode     uint16 = 4002
	testDeadlineCode uint16 = 4003
	testRateCode     uint16 = 4429
)

// ending is how a connection ended.
type ending struct {
	code uint16
	by   Initiator
}

// testShard owns connections that do nothing, and counts their ends.
type testShard struct {
	loop     *Loop
	closed   map[ending]int
	messages int
}

func (s *testShard) NewConn() *Conn {
	c := &testConn{shard: s}
	c.Init(c)
	return &c.Conn
}

func (s *testShard) Post(task func()) bool { return s.loop.Post(task) }
func (*testShard) Pending() bool           { return false }
func (*testShard) Work()                   {}
func (*testShard) QueuedBytes() int        { return 0 }
func (*testShard) Stopped()                {}

type testConn struct {
	Conn
	shard *testShard
}

func (*testConn) ID() string                         { return "test" }
func (*testConn) Opened(any)                         {}
func (c *testConn) Message([]byte, bool)             { c.shard.messages++ }
func (*testConn) Awaits(start []byte) bool           { return string(start) == "answer" }
func (*testConn) HalfClosed()                        {}
func (*testConn) Closing() bool                      { return false }
func (*testConn) Draining() bool                     { return false }
func (*testConn) Ended()                             {}
func (c *testConn) Closed(code uint16, by Initiator) { c.shard.closed[ending{code, by}]++ }
func (c *testConn) Deadline()                        { c.Close(testDeadlineCode, "no hello") }
func (*testConn) Slow()                              {}
func (*testConn) Tick()                              {}
func (*testConn) Alarm()                             {}
func (*testConn) Drained()                           {}

// closes counts the connections of the loop that ended so.
func closes(l *Loop, code uint16, by Initiator) int {
	return l.shard.(*testShard).closed[ending{code, by}]
}

// idleLoop is a loop whose clock the test turns; it serves nothing. Timeouts
// that are zero are off.
func idleLoop(tb testing.TB, timeouts Timeouts) *Loop {
	tb.Helper()
	for _, d := range []*time.Duration{&timeouts.Handshake, &timeouts.Ping, &timeouts.Pong, &timeouts.Write, &timeouts.Close} {
		if *d == 0 {
			*d = -1
		}
	}
	s := New(Config{
		Loops: 1, Endpoint: "/ws", Timeouts: timeouts,
		NewShard: func(l *Loop) Shard { return &testShard{loop: l, closed: make(map[ending]int)} },
		Base:     context.Background(),
		Logger:   slog.New(slog.DiscardHandler),
		SlowCode: testSlowCode, PingCode: testPingCode, RateCode: testRateCode,
	})
	tb.Cleanup(func() {
		s.Abandon()
		if err := s.Wait(); err != nil {
			tb.Errorf("Wait: %v", err)
		}
	})
	return s.loops[0]
}

// openConn is a WebSocket without a socket, whose client has said hello.
func openConn(l *Loop) *Conn {
	c := l.newConn()
	c.SetDeadline(l.times.handshake)
	c.opened(nil)
	c.SetDeadline(0)
	return c
}

// neffos row 14: a ping is due after a time without traffic, and only then.
func TestPingTimes(t *testing.T) {
	l := idleLoop(t, Timeouts{Ping: 10 * time.Second, Pong: 5 * time.Second})
	// The clock wraps in the middle.
	start := ^uint32(0) - 20_000
	l.now = start
	c := openConn(l)
	interval := uint32(10_000) - c.jitter(1000)
	at := func(milliseconds uint32) {
		l.now = start + milliseconds
		c.check()
		c.out = nil // the ping has left
	}

	at(interval - 1)
	if l.stats.PingsSent != 0 {
		t.Fatal("pinged before the interval had passed")
	}
	at(interval)
	if l.stats.PingsSent != 1 {
		t.Fatalf("%d pings after the interval, want 1", l.stats.PingsSent)
	}
	at(interval + 1000)
	if l.stats.PingsSent != 1 {
		t.Fatal("pinged again while a ping is out")
	}
	// Any byte that is read counts as an answer and postpones the next ping.
	answered := interval + 4000
	l.now = start + answered
	c.lastRead, c.flags = l.now, c.flags&^flagPinged
	at(answered + interval - 1)
	if l.stats.PingsSent != 1 || c.state != connOpen {
		t.Fatalf("%d pings, state %d, want 1 and open: the traffic was not seen", l.stats.PingsSent, c.state)
	}
	at(answered + interval)
	if l.stats.PingsSent != 2 {
		t.Fatalf("%d pings after the second interval, want 2", l.stats.PingsSent)
	}
	at(answered + interval + 4999)
	if c.state != connOpen {
		t.Fatal("closed before the answer was due")
	}
	at(answered + interval + 5000)
	if c.state != connClosing || c.closeCode != testPingCode || c.closeBy != ByServer {
		t.Errorf("state %d, code %d, want closing with %d", c.state, c.closeCode, testPingCode)
	}
}

// The time for an answer runs from when the ping left: one that is still queued
// behind other frames proves nothing about the peer.
func TestQueuedPingIsNotJudged(t *testing.T) {
	l := idleLoop(t, Timeouts{Ping: 10 * time.Second, Pong: 5 * time.Second})
	c := openConn(l)
	l.now += 10_000
	c.check()
	if l.stats.PingsSent != 1 || c.out == nil {
		t.Fatalf("%d pings, want 1 in the send queue", l.stats.PingsSent)
	}
	l.now += 3_600_000
	c.check()
	if c.state != connOpen {
		t.Error("closed for a ping that has not left")
	}
}

// A process that was stopped for a while gives every peer time to show that it
// is alive.
func TestStoppedProcessForgives(t *testing.T) {
	l := idleLoop(t, Timeouts{Ping: 10 * time.Second, Pong: 5 * time.Second})
	c := openConn(l)
	l.now += 10_000
	c.check()
	c.out = nil // the ping has left
	l.now += 50_000
	l.sweep.next = time.Now().Add(-50 * time.Second)
	l.tick()
	if c.check(); c.state != connOpen {
		t.Fatal("closed right after the process went on")
	}
	l.now += forgiveFor - 1
	if c.check(); c.state != connOpen {
		t.Error("closed before the extension ended")
	}
	l.now++
	if c.check(); c.state != connClosing {
		t.Error("a silent peer is never closed after a stop")
	}
}

func TestNoPingDuringAPause(t *testing.T) {
	l := idleLoop(t, Timeouts{Ping: 10 * time.Second, Pong: 5 * time.Second})
	c := openConn(l)
	for name, why := range map[string]PauseBits{"congestion": pauseCongested, "backlog": PauseBacklog} {
		c.Pause(why)
		l.now += 3_600_000
		c.check()
		if l.stats.PingsSent != 0 || c.state != connOpen {
			t.Errorf("%s: %d pings, state %d, want none and open: it is not read", name, l.stats.PingsSent, c.state)
		}
		c.Resume(why)
	}
}

func TestJitter(t *testing.T) {
	l := idleLoop(t, Timeouts{})
	seen := make(map[uint32]int)
	for range 1000 {
		c := l.newConn()
		jitter := c.jitter(2500)
		if jitter >= 2500 || jitter != c.jitter(2500) || c.jitter(0) != 0 {
			t.Fatalf("jitter %d, then %d, want the same below 2500", jitter, c.jitter(2500))
		}
		seen[jitter/250]++
	}
	for tenth := range uint32(10) {
		if seen[tenth] < 50 {
			t.Errorf("%d of 1000 jitters in tenth %d, want about 100", seen[tenth], tenth)
		}
	}
}

func TestDeadlines(t *testing.T) {
	l := idleLoop(t, Timeouts{Handshake: time.Second, Close: 500 * time.Millisecond})
	t.Run("handshake", func(t *testing.T) {
		c := l.newConn()
		c.SetDeadline(l.times.handshake)
		l.now += 999
		c.check()
		if c.state != connHandshake {
			t.Fatal("closed before the deadline")
		}
		l.now++
		c.check()
		if c.state != connGone || l.stats.Handshakes[HandshakeTimeout] != 1 {
			t.Errorf("state %d, %d timeouts, want gone and 1", c.state, l.stats.Handshakes[HandshakeTimeout])
		}
	})
	t.Run("hello counts from accept", func(t *testing.T) {
		c := l.newConn()
		c.SetDeadline(l.times.handshake)
		l.now += 900
		c.opened(nil)
		l.now += 99
		c.check()
		if c.state != connOpen {
			t.Fatal("closed before the deadline")
		}
		l.now++
		c.check()
		if c.state != connClosing || c.closeCode != testDeadlineCode {
			t.Errorf("state %d, code %d, want closing with %d", c.state, c.closeCode, testDeadlineCode)
		}
	})
	t.Run("close", func(t *testing.T) {
		c := openConn(l)
		l.now += 3_600_000
		c.check()
		if c.state != connOpen {
			t.Fatal("a deadline outlived the hello")
		}
		c.Close(1001, "")
		l.now += 499
		c.check()
		if c.state != connClosing {
			t.Fatal("closed before the deadline")
		}
		l.now++
		c.check()
		if c.state != connGone || closes(l, 1001, ByServer) != 1 {
			t.Errorf("state %d, %d closes, want gone and counted", c.state, closes(l, 1001, ByServer))
		}
	})
}

func TestTimesOff(t *testing.T) {
	off := newTimes(Timeouts{Handshake: -1, Ping: -1, Pong: -1, Write: -1, Close: -1})
	if off.handshake != 0 || off.ping != 0 || off.pong != 0 || off.write != 0 || off.close != 0 {
		t.Errorf("%+v, want zeros for the timeouts that are off", off)
	}
	if off.sweep != time.Second {
		t.Errorf("sweep every %v, want 1s", off.sweep)
	}
	tiny := newTimes(Timeouts{
		Handshake: time.Nanosecond,
		Ping:      25 * time.Second, Pong: 20 * time.Second, Write: 10 * time.Second, Close: 3 * time.Second,
	})
	if tiny.handshake != 1 || tiny.sweep != 8*time.Millisecond {
		t.Errorf("handshake %d ms, sweep %v, want 1 ms and 8ms", tiny.handshake, tiny.sweep)
	}
}

func TestWriteStallRetriesOnce(t *testing.T) {
	l := idleLoop(t, Timeouts{Write: time.Second})
	c := openConn(l)
	ours, theirs := net.Pipe()
	defer func() { _ = theirs.Close() }()
	c.blocking = newBlockingIO(ours, c)
	stall := func() {
		c.blocking.writing = true
		c.Send(pingFrame, 1)
		c.flush()
		if c.out == nil || !c.out.blocked {
			t.Fatal("the queue is not blocked")
		}
		l.now += 999
		c.check()
		if c.state != connOpen {
			t.Fatal("closed before the timeout")
		}
		l.now++
	}

	stall()
	c.blocking.writing = false // the loop has no notification yet
	c.check()
	if c.state != connOpen || c.out != nil {
		t.Fatalf("state %d, want open and everything written", c.state)
	}
	stall()
	c.check()
	if c.state != connGone || closes(l, testSlowCode, ByServer) != 1 {
		t.Errorf("state %d, %d closes, want gone as a slow consumer", c.state, closes(l, testSlowCode, ByServer))
	}
}
