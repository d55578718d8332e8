package engine

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/internal/bucket"
	"github.com/stoa-io/stoa/internal/testkit"
)

// feed gives the connection frames that have arrived.
func (c *Conn) feed(frames string) {
	c.in = append(c.in, frames...)
	if !c.paused() {
		c.loop.shareTurn()
		c.continueKept()
	}
}

// advance turns the clock by so many milliseconds.
func (l *Loop) advance(milliseconds int) {
	for range milliseconds {
		l.now++
		l.ringAlarms()
	}
}

func received(l *Loop) int { return l.shard.(*testShard).messages }

// A client that always has one more message gets exactly its rate, after the
// burst.
func TestRateOfMessages(t *testing.T) {
	for _, c := range []struct {
		rates      bucket.Limits
		burst, ten int // messages at once, and in the ten seconds after that
		cause      bucket.Cause
	}{
		{bucket.Limits{Messages: bucket.NewRate(10, 5)}, 5, 100, bucket.Messages},
		{bucket.Limits{Messages: bucket.NewRate(10, 0)}, 10, 100, bucket.Messages},
		{bucket.Limits{Messages: bucket.NewRate(10, 1)}, 1, 100, bucket.Messages},
		{bucket.Limits{Bytes: bucket.NewRate(70, 0)}, 10, 100, bucket.Bytes}, // of 7 bytes
		{bucket.Limits{GroupMessages: bucket.NewRate(10, 5)}, 5, 100, bucket.GroupMessages},
		{bucket.Limits{GroupBytes: bucket.NewRate(7, 0)}, 1, 10, bucket.GroupBytes},
	} {
		t.Run(c.cause.String(), func(t *testing.T) {
			l := idleLoop(t, Timeouts{})
			l.now = ^uint32(0) - 5000 // it wraps in the middle
			l.setRates(&c.rates)
			conn := openConn(l)
			conn.SetGroup(new(bucket.Group))
			conn.feed(strings.Repeat(string(testkit.ClientFrame(ws.OpText, true, "x")), 500))
			if got := received(l); got != c.burst {
				t.Errorf("%d messages at once, want %d", got, c.burst)
			}
			if !conn.paused() || l.stats.OverRate != 1 || l.stats.RatePauses[c.cause] != 1 {
				t.Errorf("paused: %v, %d over their rate, pauses %v", conn.paused(), l.stats.OverRate, l.stats.RatePauses)
			}
			l.advance(10_000)
			if got := received(l) - c.burst; got != c.ten {
				t.Errorf("%d messages in ten seconds, want %d", got, c.ten)
			}
			conn.destroy(1006, ByPeer)
			if l.nextTick(); l.stats.OverRate != 0 || len(l.alarms) != 0 {
				t.Errorf("%d connections over their rate, %d alarms, want none", l.stats.OverRate, len(l.alarms))
			}
		})
	}
}

// The connections of a group share its rate, and each has its turn. A message
// that waited when its connection closed costs the group nothing.
func TestRateOfGroup(t *testing.T) {
	l := idleLoop(t, Timeouts{})
	l.setRates(&bucket.Limits{GroupMessages: bucket.NewRate(10, 10)})
	var group bucket.Group
	a, b, other := openConn(l), openConn(l), openConn(l)
	a.SetGroup(&group)
	b.SetGroup(&group)
	frames := strings.Repeat(string(testkit.ClientFrame(ws.OpText, true, "x")), 40)
	a.feed(frames)
	b.feed(frames)
	if got := received(l); got != 10 {
		t.Errorf("%d messages at once, want 10", got)
	}
	other.feed(frames)
	if got := received(l); got != 50 {
		t.Errorf("%d messages, want 50: a connection without a group has no limit", got)
	}
	l.advance(2000)
	if got := received(l); got != 70 {
		t.Errorf("%d messages after two seconds, want 70", got)
	}
	if left := [2]int{len(a.in) / 7, len(b.in) / 7}; left[0]+left[1] != 50 || left[0] < 15 || left[0] > 21 {
		t.Errorf("%v messages are left, want a fair share", left)
	}
	for range 2 {
		a.destroy(1006, ByPeer)
		b.destroy(1006, ByPeer)
		l.advance(1000)
		a, b = openConn(l), openConn(l)
		a.SetGroup(&group)
		before := received(l)
		a.feed(frames)
		if got := received(l) - before; got != 10 {
			t.Errorf("%d messages after a second without any, want 10", got)
		}
	}
}

// Close frames are never late, and a ping counts.
func TestRateOfControlFrames(t *testing.T) {
	l := idleLoop(t, Timeouts{})
	l.setRates(&bucket.Limits{Messages: bucket.NewRate(1, 3)})
	c := openConn(l)
	ping := string(testkit.ClientFrame(ws.OpPing, true, "p"))
	c.feed(ping + ping + ping)
	if c.paused() || c.out == nil || len(c.out.entries) != 3 {
		t.Fatal("a burst of pings has not been answered")
	}
	c.feed(string(testkit.ClientFrame(ws.OpClose, true, "")))
	if c.state != connDiscarding {
		t.Errorf("state %d, want discarding: the close frame waits", c.state)
	}
	c = openConn(l)
	c.feed(ping + ping + ping + ping)
	if !c.paused() {
		t.Error("the fourth ping was answered at once")
	}
}

// A connection that stays above its rate is closed if the policy says so, and
// one that keeps to it after a burst is not.
func TestCloseOverRate(t *testing.T) {
	frame := string(testkit.ClientFrame(ws.OpText, true, "x"))
	for name, rate := range map[string]bucket.Rate{"slow": bucket.NewRate(0.1, 1), "middle": bucket.NewRate(10, 10), "fast": bucket.NewRate(1000, 1000)} {
		t.Run(name, func(t *testing.T) {
			l := idleLoop(t, Timeouts{})
			l.setRates(&bucket.Limits{Messages: rate, CloseAfter: 5000})
			c := openConn(l)
			for second := 0; second < 10 && c.state == connOpen; second++ {
				if second == 4 && c.state != connOpen {
					t.Error("closed early")
				}
				for range 20 {
					c.feed(strings.Repeat(frame, 100))
					l.advance(50)
				}
			}
			if c.state != connClosing || c.closeCode != testRateCode {
				t.Errorf("state %d, code %d, want closing with %d", c.state, c.closeCode, testRateCode)
			}
			if l.stats.OverRate != 0 {
				t.Errorf("%d connections over their rate, want none", l.stats.OverRate)
			}
		})
	}
	t.Run("not", func(t *testing.T) {
		l := idleLoop(t, Timeouts{})
		l.setRates(&bucket.Limits{Messages: bucket.NewRate(10, 5), CloseAfter: 2000})
		c := openConn(l)
		c.feed(strings.Repeat(frame, 5))
		random := rand.New(rand.NewPCG(1, 2))
		for range 1000 {
			early := random.IntN(40)
			l.advance(100 - early)
			c.feed(frame)
			l.advance(early)
		}
		if c.state != connOpen || l.stats.RatePauses[bucket.Messages] == 0 {
			t.Errorf("state %d after %d pauses, want open", c.state, l.stats.RatePauses[bucket.Messages])
		}
	})
}

// An answer that the server has asked for does not count.
func TestUncount(t *testing.T) {
	l := idleLoop(t, Timeouts{})
	l.setRates(&bucket.Limits{Messages: bucket.NewRate(1, 1)})
	c := openConn(l)
	c.Uncount(1) // before the first message
	for range 10 {
		c.feed(string(testkit.ClientFrame(ws.OpText, true, "x")))
		c.Uncount(1)
	}
	if got := received(l); got != 10 {
		t.Errorf("%d messages, want 10", got)
	}
	// Nor does it wait when there is no token, unless it is behind others.
	c.feed(string(testkit.ClientFrame(ws.OpText, true, "x")))
	for range 3 {
		c.feed(string(testkit.ClientFrame(ws.OpText, true, "answer")))
		c.Uncount(len("answer"))
	}
	if got := received(l); got != 14 || c.paused() {
		t.Errorf("%d messages, paused: %v, want 14, false", got, c.paused())
	}
	c.feed(strings.Repeat(string(testkit.ClientFrame(ws.OpText, true, "x")), 2))
	if got := received(l); got != 14 || !c.paused() {
		t.Errorf("%d messages, paused: %v, want 14, true", got, c.paused())
	}
}

// A peer that is gone must not keep its connection for as long as its messages
// last at its rate.
func TestPingOverRate(t *testing.T) {
	l := idleLoop(t, Timeouts{Ping: 10 * time.Second})
	l.setRates(&bucket.Limits{Messages: bucket.NewRate(10, 1)})
	c := openConn(l)
	c.feed(strings.Repeat(string(testkit.ClientFrame(ws.OpText, true, "x")), 1000))
	l.advance(9_900)
	if l.stats.PingsSent != 0 {
		t.Errorf("%d pings, want none before 10 s", l.stats.PingsSent)
	}
	l.advance(20_100)
	if l.stats.PingsSent != 3 {
		t.Errorf("%d pings in 30 s, want 3", l.stats.PingsSent)
	}
}

// Without a rate a connection has no meter, and rates can change while
// connections wait.
func TestSetRates(t *testing.T) {
	l := idleLoop(t, Timeouts{})
	c := openConn(l)
	frame := string(testkit.ClientFrame(ws.OpText, true, "x"))
	c.feed(frame)
	if c.rare != nil {
		t.Error("a connection without rates has a meter")
	}
	l.setRates(&bucket.Limits{Messages: bucket.NewRate(0.001, 1)})
	c.feed(strings.Repeat(frame, 3))
	if got := received(l); got != 2 {
		t.Errorf("%d messages, want 2", got)
	}
	l.setRates(&bucket.Limits{})
	l.advance(maxAlarm)
	if got := received(l); got != 4 || c.paused() || l.stats.OverRate != 0 {
		t.Errorf("%d messages, paused: %v, %d over their rate, want 4, false, 0", got, c.paused(), l.stats.OverRate)
	}
}

// Alarms go off in their order, also when the clock wraps.
func TestAlarms(t *testing.T) {
	l := idleLoop(t, Timeouts{})
	random := rand.New(rand.NewPCG(3, 4))
	l.now = ^uint32(0) - 400
	var want, got []uint32
	for range 1000 {
		after := random.Uint32N(maxAlarm)
		want = append(want, after)
		l.setAlarm(&Conn{}, after, alarmOwner)
	}
	slices.Sort(want)
	for range want {
		got = append(got, l.alarms.pop().at-l.now)
	}
	if !slices.Equal(got, want) {
		t.Error("the alarms are not in order")
	}
}

// A message that a rate limits costs no allocation.
func TestRateAllocations(t *testing.T) {
	l := idleLoop(t, Timeouts{})
	l.setRates(&bucket.Limits{Messages: bucket.NewRate(1e6, 0), GroupBytes: bucket.NewRate(1e9, 0)})
	c := openConn(l)
	c.SetGroup(new(bucket.Group))
	header, frame := ws.Header{Fin: true, OpCode: ws.OpText}, make([]byte, 100)
	if n := testing.AllocsPerRun(1000, func() {
		if c.pauseIfOverRate(&header, frame) {
			t.Fatal("paused")
		}
		l.now++
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func BenchmarkFrame(b *testing.B) {
	frame := testkit.ClientFrame(ws.OpText, true, strings.Repeat("x", 64))
	group := new(bucket.Group)
	for _, c := range []struct {
		name  string
		rates bucket.Limits
	}{
		{"no rates", bucket.Limits{}},
		{"of connections", bucket.Limits{Messages: bucket.NewRate(1e9, 0), Bytes: bucket.NewRate(1e12, 0)}},
		{"of users", bucket.Limits{GroupMessages: bucket.NewRate(1e9, 0), GroupBytes: bucket.NewRate(1e12, 0)}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			l := idleLoop(b, Timeouts{})
			l.setRates(&c.rates)
			conn := openConn(l)
			conn.SetGroup(group)
			data := make([]byte, len(frame))
			for b.Loop() {
				l.now++
				l.frames = 1
				copy(data, frame)
				if conn.consumeFrame(data) == 0 {
					b.Fatal("paused")
				}
			}
		})
	}
}
