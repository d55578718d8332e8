package hostile_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/node"
)

// roundTrips measures messages of one innocent client to another: the median of
// the given number, in the room of a pair.
func roundTrips(t *testing.T, from, to *peer, room string, count int) time.Duration {
	t.Helper()
	all := make([]time.Duration, count)
	for i := range all {
		began := time.Now()
		from.send(t, fmt.Sprintf(";default;%s;e;0;0;%d", room, i))
		to.next(t)
		all[i] = time.Since(began)
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// A room with a member that answers and one that never does: asks without end
// must not pile up at the silent one.
func TestAsksDoNotPileUp(t *testing.T) {
	n := startNode(t, nil)
	asking, answering, silent := join(t, n, "r"), join(t, n, "r"), join(t, n, "r")
	calm1, calm2 := join(t, n, "calm"), join(t, n, "calm")
	const asks = 5000
	var group sync.WaitGroup
	group.Go(func() {
		for range asks {
			text, err := answering.read()
			if err != nil {
				t.Errorf("the answering member: %v", err)
				return
			}
			token, _, _ := strings.Cut(text, ";")
			answering.send(t, token+";default;r;q;0;0;yes")
		}
	})
	group.Go(func() { // it reads, and never answers
		for {
			if _, err := silent.read(); err != nil {
				return
			}
		}
	})
	for i := range asks {
		asking.send(t, fmt.Sprintf("$%d;default;r;q;0;0;", i))
		if got := asking.next(t); !strings.HasSuffix(got, ";yes") {
			t.Fatalf("ask %d is answered %q", i, got)
		}
	}
	testkit.Eventually(t, "no ask is left open", func() bool { return n.Stats().OpenAsks == 0 })
	if open := n.Stats().PendingCalls; open != 0 {
		t.Errorf("%d calls are pending, want none", open)
	}
	roundTrips(t, calm1, calm2, "calm", 10)
	_ = silent.conn.Close()
	group.Wait()
}

// Rooms of silent members cost a bounded number of entries, and the
// others are still served.
func TestSilentMembersAreBounded(t *testing.T) {
	const members, limit = 30, 16
	n := startNode(t, func(cfg *node.Config) {
		cfg.Limits.AsksToClient = limit
		cfg.Limits.Asks = 1000
	})
	asking := join(t, n, "r")
	var silent []*peer
	for range members {
		silent = append(silent, join(t, n, "r"))
	}
	for _, p := range silent {
		go func() { _, _ = io.Copy(io.Discard, p.in) }()
	}
	for i := range 200 {
		asking.send(t, fmt.Sprintf("$%d;default;r;q;0;0;", i))
	}
	testkit.Eventually(t, "asks are left out", func() bool { return n.Stats().AsksSkipped >= (200-limit)*members })
	if got := n.Stats().OpenAsks; got > members*limit {
		t.Errorf("%d asks are open, want at most %d for each of %d members", got, limit, members)
	}
	calm1, calm2 := join(t, n, "calm"), join(t, n, "calm")
	roundTrips(t, calm1, calm2, "calm", 10)
	_ = asking.conn.Close()
	testkit.Eventually(t, "the asking's asks have ended at all members", func() bool { return n.Stats().OpenAsks == 0 })
}

// A burst of large messages from many senders closes no reader that
// reads, although it exceeds each reader's send queue.
func TestBurstClosesNoReader(t *testing.T) {
	const senders, readers, each = 20, 40, 2
	n := startNode(t, nil)
	var group sync.WaitGroup
	for range readers {
		p := join(t, n, "r")
		group.Go(func() {
			for i := range senders * each {
				if _, err := p.read(); err != nil {
					t.Errorf("a reader after %d messages: %v", i, err)
					return
				}
			}
		})
	}
	message := textFrame(";default;r;e;0;0;" + strings.Repeat("x", 65_000))
	var sending []*peer
	for range senders {
		sending = append(sending, join(t, n, "r"))
	}
	start := make(chan struct{})
	for _, p := range sending {
		go func() {
			<-start
			for range each {
				_, _ = p.conn.Write(message)
			}
			_, _ = io.Copy(io.Discard, p.in) // senders get those of the others
		}()
	}
	close(start)
	group.Wait()
	for key, count := range n.Stats().Closes {
		if key.Initiator == node.ByServer {
			t.Errorf("%d connections were closed with %s, want none", count, key.Code)
		}
	}
}

// Clients that ask for pages and never read them keep no goroutine.
func TestPagesThatAreNotRead(t *testing.T) {
	n := startNode(t, func(cfg *node.Config) {
		cfg.HTTP = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			deadline := http.NewResponseController(w)
			// The default of a minute is too long for a test.
			if err := deadline.SetWriteDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
				t.Error(err)
			}
			_, _ = w.Write(make([]byte, 32<<20))
		})
	})
	before := testkit.CountResources()
	for range 20 {
		conn, err := dialRaw(n)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := io.WriteString(conn, "GET /page HTTP/1.1\r\nHost: stoa.test\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, "no goroutine writes any more", func() bool {
		return testkit.CountResources().Goroutines <= before.Goroutines
	})
}

// A message that is never finished ends its connection.
func TestUnfinishedMessagesEnd(t *testing.T) {
	n := startNode(t, func(cfg *node.Config) { cfg.Timeouts.Message = 300 * time.Millisecond })
	for name, begin := range map[string][]byte{
		"half a frame":  textFrame(";default;r;e;0;0;" + strings.Repeat("x", 60_000))[:1000],
		"half a header": {0x81},
		"fragments":     append([]byte{0x01, 0x81, 0, 0, 0, 0}, 'x'),
	} {
		t.Run(name, func(t *testing.T) {
			p := join(t, n, "r")
			if _, err := p.conn.Write(begin); err != nil {
				t.Fatal(err)
			}
			if text, err := p.read(); err == nil || !strings.Contains(err.Error(), "1008") {
				t.Errorf("got %q, %v, want it closed with 1008", text, err)
			}
		})
	}
	// A finished one is not judged by the time since it began.
	p := join(t, n, "r2")
	whole := textFrame("$1;default;r2;q;0;0;")
	for _, b := range whole[:3] {
		if _, err := p.conn.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.conn.Write(whole[3:]); err != nil {
		t.Fatal(err)
	}
	p.next(t)
	began := time.Now()
	testkit.Eventually(t, "more than the limit has passed", func() bool { return time.Since(began) > 600*time.Millisecond })
	p.send(t, "$2;default;r2;q;0;0;")
	p.next(t)
}
