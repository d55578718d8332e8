package node_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/clustertest"
	"github.com/stoa-io/stoa/node"
)

// With a tiny loop queue and a large room, publishers are paused, every member
// receives every message, and all publishers are read again at the end.
func TestTinyLoopQueue(t *testing.T) {
	const (
		members    = 200
		publishers = 4
		batch      = 50
	)
	n := startNode(t, func(cfg *node.Config) {
		cfg.Limits.LoopQueue = 2000
		cfg.Limits.SendQueue = -1
	})
	var counts [members]atomic.Int64
	var readers sync.WaitGroup
	for i := range members {
		p := join(t, n, "default", "r")
		readers.Go(func() { countMessages(p, &counts[i]) })
	}
	var senders []*peer
	for range publishers {
		senders = append(senders, join(t, n, "default", "r"))
	}
	var fromOthers atomic.Int64
	for _, p := range senders {
		readers.Go(func() { countMessages(p, &fromOthers) })
	}

	// How often the node is congested varies; once is enough.
	pausedSeen, sent := 0, int64(0)
	eventually(t, "a publisher is paused", func() bool {
		var writers sync.WaitGroup
		for _, p := range senders {
			writers.Go(func() {
				var out strings.Builder
				for range batch {
					out.WriteString(frame(ws.OpText, true, ";default;r;chat;0;0;"+strings.Repeat("x", 500)))
				}
				p.write(out.String())
			})
		}
		written := make(chan struct{})
		go func() { writers.Wait(); close(written) }()
		for done := false; !done; {
			select {
			case <-written:
				done = true
			default:
			}
			pausedSeen = max(pausedSeen, n.Stats().Paused)
		}
		sent += batch * publishers
		return pausedSeen > 0
	})
	for i := range counts {
		eventually(t, fmt.Sprintf("member %d has received %d messages", i, sent), func() bool { return counts[i].Load() == sent })
	}
	eventually(t, "the publishers have received each other's messages", func() bool {
		return fromOthers.Load() == sent*(publishers-1)
	})
	eventually(t, "no publisher is paused", func() bool {
		s := n.Stats()
		return s.Paused == 0 && !s.Congested && s.InboxBytes == 0 && s.QueueBytes == 0
	})
	s := n.Stats()
	if got := s.MessagesIn[0][node.MessageRelayed]; got != uint64(sent) {
		t.Errorf("%d messages relayed, want %d", got, sent)
	}
	if want := uint64(sent) * (members + publishers - 1); s.Deliveries != want || s.DroppedFrames != 0 {
		t.Errorf("%d deliveries and %d dropped, want %d and 0", s.Deliveries, s.DroppedFrames, want)
	}
}

// countMessages reads until the connection closes.
func countMessages(p *peer, count *atomic.Int64) {
	for {
		if _, err := p.tryNext(); err != nil {
			return
		}
		count.Add(1)
	}
}

// A loop queue limit below a single delivery must not make the loops wake each
// other forever.
func TestLoopQueueBelowOneDelivery(t *testing.T) {
	n := startNode(t, func(cfg *node.Config) { cfg.Limits.LoopQueue = 1 })
	a, b := join(t, n, "default", "r"), join(t, n, "default", "r")
	for i := range 100 {
		text := fmt.Sprintf(";default;r;chat;0;0;%d", i)
		a.send(text)
		b.expect(text)
	}
	eventually(t, "the node is idle", func() bool { s := n.Stats(); return s.Paused == 0 && !s.Congested })
	before := n.Stats().Turns
	for range 100 {
		b.sync("default")
	}
	if turns := n.Stats().Turns - before; turns > 5000 {
		t.Errorf("%d turns for 100 asks, want a few each", turns)
	}
}

// While the broker is congested, publishers are not read, and other connections
// are served as usual.
func TestCongestedBroker(t *testing.T) {
	n, faulty := slowNode(t, nil)
	publisher, listener := join(t, n, "default", "r"), join(t, n, "default", "r")
	publisher.send(";default;r;chat;0;0;0")
	listener.expect(";default;r;chat;0;0;0")

	for round := range 5 {
		faulty.Congest(0, true)
		if s := n.Stats(); !s.Congested {
			t.Fatal("Stats do not say that the node is congested")
		}
		var want []string
		for i := range 50 {
			text := fmt.Sprintf(";default;r;chat;0;0;%d.%d %s", round, i, strings.Repeat("x", i*100))
			want = append(want, text)
			publisher.send(text)
		}
		eventually(t, "the publisher is paused", func() bool { return n.Stats().Paused == 1 })
		for range 50 {
			if got := listener.sync("default"); len(got) != 0 {
				t.Fatalf("received %.100q while the node was congested", got)
			}
		}
		fresh := join(t, n, "default", "elsewhere")
		fresh.sync("default")
		_ = fresh.conn.Close()
		faulty.Congest(0, false)
		listener.expect(want...)
		eventually(t, "no publisher is paused", func() bool { s := n.Stats(); return s.Paused == 0 && !s.Congested })
	}
}

// TCP pushes back to a paused publisher: the node buffers next to nothing.
func TestPausedPublisherIsNotRead(t *testing.T) {
	const (
		messages = 400
		size     = 50_000
	)
	n, faulty := slowNode(t, func(cfg *node.Config) { cfg.Limits.SendQueue = -1 })
	publisher, listener := join(t, n, "default", "r"), join(t, n, "default", "r")
	publisher.send(";default;r;chat;0;0;first")
	listener.expect(";default;r;chat;0;0;first")
	faulty.Congest(0, true)
	before := n.Stats().BytesIn
	text := ";default;r;chat;0;0;" + strings.Repeat("x", size)
	sent := make(chan error, 1)
	go func() {
		var err error
		for range messages {
			if _, err = publisher.conn.Write([]byte(frame(ws.OpText, true, text))); err != nil {
				break
			}
		}
		sent <- err
	}()
	eventually(t, "the publisher is paused", func() bool { return n.Stats().Paused == 1 })
	for range 200 {
		listener.sync("default")
	}
	if got := n.Stats().BytesIn - before; got > 1<<20 {
		t.Errorf("%d bytes read while the node was congested, want little more than one read", got)
	}
	faulty.Congest(0, false)
	for range messages {
		listener.expect(text)
	}
	if err := <-sent; err != nil {
		t.Errorf("write: %v", err)
	}
}

// The messages of a paused publisher that closes are still delivered.
func TestPausedPublisherHangsUp(t *testing.T) {
	n, faulty := slowNode(t, nil)
	publisher, listener := join(t, n, "default", "r"), join(t, n, "default", "r")
	publisher.send(";default;r;chat;0;0;first")
	listener.expect(";default;r;chat;0;0;first")
	faulty.Congest(0, true)
	publisher.send(";default;r;chat;0;0;second")
	publisher.send(";default;r;chat;0;0;last words")
	eventually(t, "the publisher is paused", func() bool { return n.Stats().Paused == 1 })
	if err := publisher.conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	listener.sync("default")
	faulty.Congest(0, false)
	listener.expect(";default;r;chat;0;0;second", ";default;r;chat;0;0;last words")
	publisher.expectEnd()
	eventually(t, "the publisher has closed", func() bool { s := n.Stats(); return s.Connections == 1 && s.Paused == 0 })
}

// A paused publisher takes part in a shutdown, after a quarter of the time: its
// close frame is read, although its earlier messages are dropped. Else the node
// would wait an hour for it.
func TestShutdownWhileCongested(t *testing.T) {
	t.Parallel()
	n, faulty := slowNode(t, func(cfg *node.Config) { cfg.Timeouts.Close = time.Hour })
	publisher, listener := join(t, n, "default", "r"), join(t, n, "default", "r")
	publisher.send(";default;r;chat;0;0;first")
	listener.expect(";default;r;chat;0;0;first")
	faulty.Congest(0, true)
	publisher.send(";default;r;chat;0;0;second")
	eventually(t, "the publisher is paused", func() bool { return n.Stats().Paused == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 12*time.Second)
	defer cancel()
	shutdown := make(chan error, 1)
	go func() { shutdown <- n.Shutdown(ctx) }()
	for _, p := range []*peer{listener, publisher} {
		p.expectClose(1001)
		p.write(frame(ws.OpClose, true, "\x03\xe9"))
		p.expectEnd()
	}
	if err := <-shutdown; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// halves is a broker of two partitions: the first has the rooms whose names
// begin with "a".
type halves struct{ *clustertest.Faulty }

func (halves) Partitions() int { return 2 }

func (halves) Partition(channel string) int {
	if strings.HasPrefix(channel, cluster.RoomChannel("default", "a")) {
		return 0
	}
	return 1
}

// While one partition is congested, its publishers are not read. Publishers to
// the other partition are, and so are publishers that have left the room.
func TestCongestedPartition(t *testing.T) {
	n, faulty := slowNode(t, func(cfg *node.Config) {
		cfg.Broker = halves{cfg.Broker.(*clustertest.Faulty)}
	})
	first, second := join(t, n, "default", "a", "b"), join(t, n, "default", "b")
	inA, inB := join(t, n, "default", "a"), join(t, n, "default", "b")
	first.send(";default;a;chat;0;0;first")
	inA.expect(";default;a;chat;0;0;first")
	second.send(";default;b;chat;0;0;second")
	inB.expect(";default;b;chat;0;0;second")
	first.expect(";default;b;chat;0;0;second")

	faulty.Congest(0, true)
	first.send(";default;a;chat;0;0;waits")
	eventually(t, "the publisher to the congested partition is paused", func() bool { return n.Stats().Paused == 1 })
	second.send(";default;b;chat;0;0;goes on")
	inB.expect(";default;b;chat;0;0;goes on")
	first.expect(";default;b;chat;0;0;goes on")

	faulty.Congest(1, true)
	second.send(";default;b;chat;0;0;waits too")
	eventually(t, "both are paused", func() bool { return n.Stats().Paused == 2 })
	faulty.Congest(0, false)
	inA.expect(";default;a;chat;0;0;waits")
	eventually(t, "the other one is still paused", func() bool { s := n.Stats(); return s.Paused == 1 && s.Congested })
	faulty.Congest(1, false)
	inB.expect(";default;b;chat;0;0;waits too")
	first.expect(";default;b;chat;0;0;waits too")
	eventually(t, "no publisher is paused", func() bool { s := n.Stats(); return s.Paused == 0 && !s.Congested })

	first.send("$l;default;a;_OnRoomLeave;0;0;")
	first.expect("$l;;;;;;")
	faulty.Congest(0, true)
	first.send(";default;b;chat;0;0;after leaving")
	inB.expect(";default;b;chat;0;0;after leaving")
	faulty.Congest(0, false)
}

// Node.Emit blocks until the congestion ends, as clients do.
func TestEmitWaits(t *testing.T) {
	faulty := clustertest.NewFaulty(newMemory())
	n := startNode(t, func(cfg *node.Config) { cfg.Broker = faulty })
	p := join(t, n, "default", "r")
	emit := func(ctx context.Context, body string) error {
		return n.Emit(ctx, node.Message{Namespace: "default", Room: "r", Event: "e", Body: []byte(body)}, node.EmitOptions{})
	}
	faulty.Congest(0, true)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := emit(ended, "too late"); !errors.Is(err, context.Canceled) {
		t.Errorf("Emit with a context that has ended returned %v, want context.Canceled", err)
	}
	result := make(chan error)
	go func() { result <- emit(t.Context(), "patient") }()
	select {
	case err := <-result:
		t.Fatalf("Emit returned %v while the node is congested", err)
	default:
	}
	faulty.Congest(0, false)
	if err := <-result; err != nil {
		t.Errorf("Emit returned %v after the congestion, want nil", err)
	}
	p.expect(";default;r;e;0;0;patient")

	faulty.Congest(0, true)
	go func() { result <- emit(context.Background(), "never") }()
	_ = n.Close()
	if err := <-result; !errors.Is(err, node.ErrClosed) {
		t.Errorf("Emit returned %v after Close, want ErrClosed", err)
	}
	faulty.Congest(0, false)
}
