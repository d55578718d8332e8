package node

import (
	"net"
	"testing"
	"time"

	"github.com/stoa-io/stoa/wire"
)

// idleLoop is a loop whose clock the test turns; nothing is served.
func idleLoop(tb testing.TB, timeouts Timeouts) *loop {
	tb.Helper()
	n, err := New(Config{Loops: 1, Timeouts: timeouts})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := n.Close(); err != nil {
			tb.Errorf("Close: %v", err)
		}
	})
	return n.loops[0]
}

// openConn is a WebSocket that is not served by any socket.
func openConn(l *loop) *conn {
	c := l.newConn()
	c.opened(nil)
	c.session.Receive([]byte(wire.Hello), false)
	c.out = nil // the acknowledgement
	return c
}

// neffos row 14: a ping is due after a while without traffic, and only then.
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
	// Anything that is read counts as an answer and postpones the next ping.
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
		t.Fatal("given up before the answer was due")
	}
	at(answered + interval + 5000)
	if c.state != connClosing || c.closeCode != wire.CodePingTimeout || c.closeBy != ByServer {
		t.Errorf("state %d, code %d, want closing with %d", c.state, c.closeCode, wire.CodePingTimeout)
	}
}

func TestPingWaitsForNobodyThatIsHeld(t *testing.T) {
	l := idleLoop(t, Timeouts{Ping: 10 * time.Second, Pong: 5 * time.Second})
	c := openConn(l)
	for name, flag := range map[string]connFlags{"congestion": flagHeld, "mailbox": flagMailFull} {
		c.flags |= flag
		l.now += 3_600_000
		c.check()
		if l.stats.PingsSent != 0 || c.state != connOpen {
			t.Errorf("%s: %d pings, state %d, want none and open: it is not read", name, l.stats.PingsSent, c.state)
		}
		c.flags &^= flag
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
	l := idleLoop(t, Timeouts{Handshake: time.Second, Close: 500 * time.Millisecond, Ping: -1})
	t.Run("handshake", func(t *testing.T) {
		c := l.newConn()
		c.setDeadline(l.times.handshake)
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
		c.setDeadline(l.times.handshake)
		l.now += 900
		c.opened(nil)
		l.now += 100
		c.check()
		if c.state != connClosing || c.closeCode != wire.CodeAckTimeout {
			t.Errorf("state %d, code %d, want closing with %d", c.state, c.closeCode, wire.CodeAckTimeout)
		}
	})
	t.Run("close", func(t *testing.T) {
		c := openConn(l)
		l.now += 3_600_000
		c.check()
		if c.state != connOpen {
			t.Fatal("a deadline outlived the hello")
		}
		c.closeWith(wire.CodeGoingAway, "")
		l.now += 499
		c.check()
		if c.state != connClosing {
			t.Fatal("closed before the deadline")
		}
		l.now++
		c.check()
		if c.state != connGone || l.stats.Closes[CloseKey{wire.CodeGoingAway.Label(), ByServer}] != 1 {
			t.Errorf("state %d, closes %v, want gone and counted", c.state, l.stats.Closes)
		}
	})
}

func TestTimesOff(t *testing.T) {
	off := newTimes(Timeouts{Handshake: -1, Ping: -1, Pong: -1, Write: -1, Close: -1, Join: -1})
	if off.handshake != 0 || off.ping != 0 || off.pong != 0 || off.write != 0 || off.close != 0 {
		t.Errorf("%+v, want zeros for what is switched off", off)
	}
	if off.sweep != time.Second {
		t.Errorf("sweep every %v, want 1s", off.sweep)
	}
	tiny := newTimes(Timeouts{Handshake: time.Nanosecond}.withDefaults())
	if tiny.handshake != 1 || tiny.sweep != 8*time.Millisecond {
		t.Errorf("handshake %d ms, sweep %v, want 1 ms and 8ms", tiny.handshake, tiny.sweep)
	}
}

func TestWriteStallTriesOnceMore(t *testing.T) {
	l := idleLoop(t, Timeouts{Write: time.Second, Ping: -1})
	c := openConn(l)
	ours, theirs := net.Pipe()
	defer func() { _ = theirs.Close() }()
	c.stream = newStream(ours, l, c.place(), c.generation)
	stall := func() {
		c.stream.writing = true
		c.enqueue(pingFrame, 1)
		c.flush()
		if c.out == nil || !c.out.blocked {
			t.Fatal("the queue is not blocked")
		}
		l.now += 999
		c.check()
		if c.state != connOpen {
			t.Fatal("given up before the timeout")
		}
		l.now++
	}

	stall()
	c.stream.writing = false // nobody has told the loop yet
	c.check()
	if c.state != connOpen || c.out != nil {
		t.Fatalf("state %d, want open and everything written", c.state)
	}
	stall()
	c.check()
	if c.state != connGone || l.stats.Closes[CloseKey{wire.CodeSlowConsumer.Label(), ByServer}] != 1 {
		t.Errorf("state %d, closes %v, want gone as a slow consumer", c.state, l.stats.Closes)
	}
}
