package node_test

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/node"
)

func newMemory() cluster.Broker { return cluster.NewMemory(cluster.MemoryConfig{}) }

// loopOf reads the loop's number in a connection's ID: the upper six bits after
// the node's ID.
func loopOf(tb testing.TB, p *peer) int {
	tb.Helper()
	slot := p.id[max(0, len(p.id)-22):]
	raw, err := base64.RawURLEncoding.DecodeString(slot)
	if err != nil || len(raw) != 16 {
		tb.Fatalf("ID %q: want 16 bytes in base64url behind the node's ID", p.id)
	}
	return int(raw[0] >> 2)
}

// joinOnLoops makes one member on each of so many loops. The kernel chooses the
// loop of a connection, so surplus connections are closed.
func joinOnLoops(tb testing.TB, n *node.Node, loops int, namespace string, rooms ...string) []*peer {
	tb.Helper()
	members := make([]*peer, loops)
	for missing := loops; missing > 0; {
		p := join(tb, n, namespace, rooms...)
		if at := loopOf(tb, p); members[at] == nil {
			members[at] = p
			missing--
		} else {
			_ = p.conn.Close()
		}
	}
	return members
}

// bodySize varies around the sizes at which frames are merged and written
// together, with many small ones in between.
func bodySize(random *rand.Rand) int {
	switch random.IntN(12) {
	case 0:
		return 60_000
	case 1:
		return 32<<10 - 40 + random.IntN(80)
	case 2:
		return 16<<10 - 40 + random.IntN(80)
	case 3:
		return random.IntN(4000)
	case 4:
		return 100 + random.IntN(50)
	case 5:
		return 0
	}
	return random.IntN(64)
}

// story is the messages of one publisher to one room: message i has event
// "<publisher>.<i>" and a body that the receiver can check.
type story struct {
	publisher int
	room      string
	sizes     []int
}

func (s *story) message(i int) string {
	return fmt.Sprintf(";default;%s;%d.%d;0;0;%s", s.room, s.publisher, i, strings.Repeat(string(rune('a'+i%26)), s.sizes[i]))
}

// heard is the messages of one member, by room, as "<publisher>.<i>".
type heard map[string][]string

// listen reads so many messages and checks their bodies.
func listen(p *peer, stories map[string]*story, count int) (heard, error) {
	got := make(heard)
	for received := 0; received < count; received++ {
		f, err := p.tryNext()
		if err != nil {
			return got, fmt.Errorf("after %d of %d messages: %w", received, count, err)
		}
		parts := strings.SplitN(string(f.Payload), ";", 7)
		if f.Header.OpCode != ws.OpText || len(parts) != 7 {
			return got, fmt.Errorf("after %d of %d messages: got %s", received, count, describe(f))
		}
		var publisher, i int
		if _, err := fmt.Sscanf(parts[3], "%d.%d", &publisher, &i); err != nil {
			return got, fmt.Errorf("event %q: want publisher.number", parts[3])
		}
		s := stories[fmt.Sprint(publisher, parts[2])]
		if s == nil || i >= len(s.sizes) || s.message(i) != string(f.Payload) {
			return got, fmt.Errorf("message %s in room %s has changed: %s", parts[3], parts[2], describe(f))
		}
		got[parts[2]] = append(got[parts[2]], parts[3])
	}
	return got, nil
}

// neffos row 1: every message arrives, in one order for all.
func TestOrder(t *testing.T) {
	for _, c := range []struct {
		name     string
		loops    int
		rooms    []string
		messages int // of each publisher in each room
	}{
		{"one loop", 1, []string{"r1"}, 200},
		{"four loops", 4, []string{"r1"}, 200},
		{"two rooms interleaved on one loop", 1, []string{"r1", "r2"}, 120},
		{"two rooms interleaved on four loops", 4, []string{"r1", "r2"}, 120},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := startNode(t, func(cfg *node.Config) {
				cfg.Loops = c.loops
				cfg.Limits.SendQueue = -1 // another test covers slow readers
			})
			publishers := append(joinOnLoops(t, n, c.loops, "default", c.rooms...), joinOnLoops(t, n, c.loops, "default", c.rooms...)...)
			listeners := append(joinOnLoops(t, n, c.loops, "default", c.rooms...), join(t, n, "default", c.rooms...))
			stories := makeStories(len(publishers), c.rooms, c.messages)

			var senders, receivers sync.WaitGroup
			results := make([]heard, len(publishers)+len(listeners))
			perPublisher := c.messages * len(c.rooms)
			for i, p := range append(slices.Clone(publishers), listeners...) {
				want := perPublisher * len(publishers)
				if i < len(publishers) {
					want -= perPublisher // its own are not sent back
				}
				receivers.Go(func() {
					var err error
					if results[i], err = listen(p, stories, want); err != nil {
						t.Errorf("member %d: %v", i, err)
					}
				})
			}
			for i, p := range publishers {
				senders.Go(func() { publish(t, p, i, stories, c.rooms, c.messages) })
			}
			senders.Wait()
			receivers.Wait()
			if t.Failed() {
				return
			}
			compareOrders(t, results, len(publishers), c.rooms)
			checkNothingMore(t, n, append(publishers, listeners...), uint64(perPublisher*len(publishers)*(len(results)-1)))
		})
	}
}

func makeStories(publishers int, rooms []string, messages int) map[string]*story {
	stories := make(map[string]*story)
	for i := range publishers {
		random := rand.New(rand.NewPCG(uint64(i), 7))
		for _, room := range rooms {
			s := &story{publisher: i, room: room}
			for range messages {
				s.sizes = append(s.sizes, bodySize(random))
			}
			stories[fmt.Sprint(i, room)] = s
		}
	}
	return stories
}

// publish sends a publisher's stories, one room after the other, several
// messages per write.
func publish(t *testing.T, p *peer, publisher int, stories map[string]*story, rooms []string, messages int) {
	out := bufio.NewWriterSize(p.conn, 32<<10)
	for i := range messages {
		for _, room := range rooms {
			_, _ = out.WriteString(frame(ws.OpText, true, stories[fmt.Sprint(publisher, room)].message(i)))
		}
	}
	if err := out.Flush(); err != nil {
		t.Errorf("publisher %d: %v", publisher, err)
	}
}

// compareOrders takes the first listener's order as that of the room: every
// other member must have seen the same, each publisher without its own
// messages.
func compareOrders(t *testing.T, results []heard, publishers int, rooms []string) {
	for _, room := range rooms {
		order := results[publishers][room]
		next := make([]int, publishers)
		for at, message := range order {
			var publisher, i int
			if _, err := fmt.Sscanf(message, "%d.%d", &publisher, &i); err != nil || next[publisher] != i {
				t.Fatalf("room %s: message %d is %s, want number %d of this publisher", room, at, message, next[publisher])
			}
			next[publisher]++
		}
		for i, result := range results {
			own := fmt.Sprintf("%d.", i)
			want := order
			if i < publishers {
				want = slices.DeleteFunc(slices.Clone(order), func(m string) bool { return strings.HasPrefix(m, own) })
			}
			if !slices.Equal(result[room], want) {
				t.Errorf("room %s: member %d saw another order than the first listener", room, i)
			}
		}
	}
}

// checkNothingMore checks that no member receives more messages than expected.
func checkNothingMore(t *testing.T, n *node.Node, members []*peer, deliveries uint64) {
	for i, p := range members {
		if more := p.sync("default"); len(more) != 0 {
			t.Errorf("member %d received %d messages more than were sent to it, the first %.100q", i, len(more), more[0])
		}
	}
	s := n.Stats()
	if s.Deliveries != deliveries || s.DroppedFrames != 0 || s.MessagesIn[0][node.MessageDropped] != 0 {
		t.Errorf("%d deliveries, %d frames and %d messages dropped; want %d, 0, 0",
			s.Deliveries, s.DroppedFrames, s.MessagesIn[0][node.MessageDropped], deliveries)
	}
	eventually(t, "the queues are empty", func() bool { s := n.Stats(); return s.QueueBytes == 0 && s.InboxBytes == 0 })
}
