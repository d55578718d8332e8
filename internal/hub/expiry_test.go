package hub

import (
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/wire"
)

// hour is the life of most identities here, in milliseconds. The tests move the
// clock.
const hour = 3_600_000

// expiringApp gives each connection an identity that ends.
type expiringApp struct {
	handlingApp
	life time.Duration
}

func (a expiringApp) Accepted(c *Client, _ any) { c.SetIdentity(endsIn(a.life)) }

// Authorize takes any token, and answers when the loop comes to the task.
func (expiringApp) Authorize(c *Client, r *session.Request) bool {
	if r.Kind != session.Authenticate {
		return false
	}
	later := c.Session().Defer(r)
	c.Shard().Post(func() { c.Renew(later, endsIn(2*time.Hour)) })
	return true
}

func endsIn(life time.Duration) *access.Identity {
	return &access.Identity{User: "ann", Expires: time.Now().Add(life)}
}

// startExpiring runs a hub whose connections have an identity that ends.
func startExpiring(t *testing.T, life time.Duration, blocking bool) testShard {
	return startShard(t, true, func(cfg *Config) {
		cfg.App = expiringApp{life: life}
		cfg.ExpiryNotice = 30 * time.Second
		cfg.Engine.Blocking = blocking
		cfg.Limits.Authentications = 3
	})
}

// onBoth runs a test over both transports.
func onBoth(t *testing.T, test func(t *testing.T, blocking bool)) {
	for _, blocking := range []bool{false, true} {
		t.Run(fmt.Sprintf("blocking %t", blocking), func(t *testing.T) { test(t, blocking) })
	}
}

// advance moves the clock of the ends.
func (s testShard) advance(milliseconds int64) {
	s.onLoop(func() { s.expiries.clock += milliseconds })
	s.loop.Wake()
}

func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if err := ws.WriteFrame(conn, ws.MaskFrame(ws.NewTextFrame([]byte(text)))); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, conn net.Conn) string {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	frame, err := testkit.ReadFrame(conn)
	if err != nil || frame.Header.OpCode != ws.OpText {
		t.Fatalf("got %+v, %v, want a text frame", frame.Header, err)
	}
	return string(frame.Payload)
}

// enter says hello and waits for the acknowledgement.
func enter(t *testing.T, conn net.Conn, hello string) {
	t.Helper()
	send(t, conn, hello)
	if got := receive(t, conn); !strings.HasPrefix(got, "A") {
		t.Fatalf("got %q, want the acknowledgement", got)
	}
}

const noticeStart = ";;;_OnAuthenticate;0;0;"

// expectNotice reads the notice, and returns how much time it gives.
func expectNotice(t *testing.T, conn net.Conn) int {
	t.Helper()
	left, err := strconv.Atoi(strings.TrimPrefix(receive(t, conn), noticeStart))
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// A client that understands it gets one notice, and may hand in a token; the
// end is then that of the new identity.
func TestNoticeAndRenewal(t *testing.T) {
	onBoth(t, func(t *testing.T, blocking bool) {
		s := startExpiring(t, time.Hour, blocking)
		c, conn := s.dial(t)
		enter(t, conn, "M expiry")
		s.onLoop(func() {
			at := s.expiries.heap[0].at - c.extra.life.ends + 30_000
			if at > 0 || at < -7500 {
				t.Errorf("the notice is due %d ms after the configured time, want at most 7500 before it", at)
			}
		})
		s.advance(hour - 30_000)
		if left := expectNotice(t, conn); left <= 0 || left > 30_000 {
			t.Errorf("the notice gives %d ms, want at most 30000", left)
		}
		send(t, conn, "$1;;;_OnAuthenticate;0;0;token")
		if got := receive(t, conn); got != "$1;;;;;;" {
			t.Errorf("the token was answered %q", got)
		}
		s.advance(hour) // the first identity would have ended
		send(t, conn, "$2;;;_OnAuthenticate;0;0;token")
		if got := receive(t, conn); got != "$2;;;;;;" {
			t.Errorf("the token was answered %q", got)
		}
		s.onLoop(func() {
			stats := s.Stats()
			if stats.ExpiryNotices != 1 || stats.Renewals[RenewalAccepted] != 2 {
				t.Errorf("%d notices, renewals %v, want 1 and 2 accepted", stats.ExpiryNotices, stats.Renewals)
			}
		})
		s.advance(2 * hour)
		expectClose(t, conn, wire.CodeExpired)
		_ = conn.Close()
		s.expectCloses(t, wire.CodeExpired)
	})
}

// A client that has not said that it understands notices gets none: to clients
// of neffos it would be an event.
func TestNoNoticeUnlessUnderstood(t *testing.T) {
	onBoth(t, func(t *testing.T, blocking bool) {
		s := startExpiring(t, time.Hour, blocking)
		_, conn := s.dial(t)
		enter(t, conn, "M")
		s.advance(hour - 1000)
		s.advance(1001)
		expectClose(t, conn, wire.CodeExpired)
		_ = conn.Close()
		s.expectCloses(t, wire.CodeExpired)
		s.onLoop(func() {
			if s.Stats().ExpiryNotices != 0 || len(s.expiries.heap) != 0 {
				t.Errorf("%d notices, %d entries, want none", s.Stats().ExpiryNotices, len(s.expiries.heap))
			}
		})
	})
}

// The notice of a short life leaves half of it.
func TestNoticeOfAShortLife(t *testing.T) {
	s := startExpiring(t, 20*time.Second, false)
	c, conn := s.dial(t)
	enter(t, conn, "M expiry")
	s.onLoop(func() {
		if before := c.extra.life.ends - s.expiries.heap[0].at; before < 9_900 || before > 12_500 {
			t.Errorf("the notice comes %d ms before the end, want 10 to 12.5 s", before)
		}
	})
}

// An identity that has ended before the hello never opens the connection.
func TestIdentityThatHasEnded(t *testing.T) {
	onBoth(t, func(t *testing.T, blocking bool) {
		s := startExpiring(t, -time.Second, blocking)
		_, conn := s.dial(t)
		send(t, conn, "M")
		expectClose(t, conn, wire.CodeExpired)
		_ = conn.Close()
		s.expectCloses(t, wire.CodeExpired)
	})
}

// A connection that closes leaves nothing behind.
func TestClosedConnectionHasNoEnd(t *testing.T) {
	s := startExpiring(t, time.Hour, false)
	_, conn := s.dial(t)
	enter(t, conn, "M")
	_ = conn.Close()
	s.eventually(t, "the entry is gone", func() bool { return len(s.expiries.heap) == 0 })
}

// A client cannot make the node verify one token after the other.
func TestTooManyTokens(t *testing.T) {
	s := startExpiring(t, time.Hour, false)
	_, conn := s.dial(t)
	enter(t, conn, "M")
	send(t, conn, "$1;;;_OnAuthenticate;0;0;"+strings.Repeat("x", maxToken+1))
	if got := receive(t, conn); !strings.HasSuffix(got, ";1;0;unauthorized") {
		t.Errorf("a long token was answered %.100q", got)
	}
	for i := range 3 {
		send(t, conn, fmt.Sprintf("$%d;;;_OnAuthenticate;0;0;token", i+2))
	}
	for range 2 {
		receive(t, conn)
	}
	expectClose(t, conn, wire.CodePolicy)
	s.onLoop(func() {
		want := [RenewalResults]uint64{RenewalAccepted: 2, RenewalRefused: 1, RenewalLimited: 1}
		if got := s.Stats().Renewals; got != want {
			t.Errorf("renewals %v, want %v", got, want)
		}
	})
}

// Messages behind a token wait for its verification.
func TestMessagesWaitForTheToken(t *testing.T) {
	s := startExpiring(t, time.Hour, false)
	_, conn := s.dial(t)
	enter(t, conn, "M")
	send(t, conn, "$1;;;_OnAuthenticate;0;0;token")
	send(t, conn, "$2;x;;e;0;0;")
	if first, second := receive(t, conn), receive(t, conn); first != "$1;;;;;;" || !strings.HasPrefix(second, "$2;") {
		t.Errorf("answered %q, then %q", first, second)
	}
}

// When many identities end in the same moment, a turn closes a bounded number.
func TestEndsAreSpreadOverTurns(t *testing.T) {
	s := startExpiring(t, time.Hour, false)
	const count = 2*expiriesPerTurn + 10
	for range count {
		_, conn := s.dial(t)
		enter(t, conn, "M")
	}
	s.onLoop(func() {
		if len(s.expiries.heap) != count {
			t.Fatalf("%d entries, want %d", len(s.expiries.heap), count)
		}
		s.expiries.clock += 2 * hour
		for _, left := range []int{expiriesPerTurn + 10, 10, 0} {
			if !s.Pending() {
				t.Errorf("nothing is pending before the last %d", left)
			}
			if s.expire(); len(s.expiries.heap) != left {
				t.Errorf("%d are left, want %d", len(s.expiries.heap), left)
			}
		}
	})
}

// The heap agrees with a list that is sorted.
func TestExpiriesInOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var e expiries
	var in, out []*Client
	for range 3000 {
		c := &Client{extra: &extra{life: &life{index: -1}}}
		out = append(out, c)
	}
	for range 30_000 {
		switch n := random.IntN(3); {
		case n < 2 && len(out) > 0:
			i := random.IntN(len(out))
			e.set(out[i], random.Int64N(1000))
			in, out = append(in, out[i]), slices.Delete(out, i, i+1)
		case n == 2 && len(in) > 0:
			i := random.IntN(len(in))
			e.set(in[i], random.Int64N(1000))
			e.remove(in[i])
			e.remove(in[i])
			out, in = append(out, in[i]), slices.Delete(in, i, i+1)
		}
	}
	for i, entry := range e.heap {
		if entry.client.extra.life.index != i {
			t.Fatalf("entry %d says that it is %d", i, entry.client.extra.life.index)
		}
	}
	if len(e.heap) != len(in) {
		t.Errorf("%d entries, want %d", len(e.heap), len(in))
	}
	for last := int64(0); len(e.heap) > 0; e.remove(e.heap[0].client) {
		if e.heap[0].at < last {
			t.Fatalf("%d comes after %d", e.heap[0].at, last)
		}
		last = e.heap[0].at
	}
	if cap(e.heap) > 1<<10 {
		t.Errorf("an empty heap keeps room for %d", cap(e.heap))
	}
}

// The clock goes on where the loop's wraps.
func TestClockOfExpiriesDoesNotWrap(t *testing.T) {
	e := expiries{seen: 1<<32 - 10, clock: 1000}
	if got := e.now(5); got != 1015 {
		t.Errorf("the clock shows %d, want 1015", got)
	}
}
