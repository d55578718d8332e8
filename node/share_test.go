package node_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/node"
)

// lateBroker delivers at once, but does not report it before release.
type lateBroker struct {
	*cluster.Memory

	mu        sync.Mutex // guards the rest
	published int
	released  bool
	waiting   []func()
}

func (b *lateBroker) Publish(channel string, env *cluster.Envelope) error {
	b.mu.Lock()
	b.published++
	b.mu.Unlock()
	return b.Memory.Publish(channel, env)
}

func (b *lateBroker) PublishCount(channel string, env *cluster.Envelope, done func(int, error)) {
	err := b.Publish(channel, env)
	b.mu.Lock()
	released := b.released
	if !released {
		b.waiting = append(b.waiting, func() { done(1, err) })
	}
	b.mu.Unlock()
	if released {
		done(1, err)
	}
}

func (b *lateBroker) release() {
	b.mu.Lock()
	waiting := b.waiting
	b.released, b.waiting = true, nil
	b.mu.Unlock()
	for _, done := range waiting {
		done()
	}
}

func (b *lateBroker) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.published
}

// A client that publishes faster than the broker takes its messages waits for
// them, and no other client does. All messages arrive, in order.
func TestFloodWaitsForItsOwnMessages(t *testing.T) {
	const (
		messages = 2000
		// Two shares are on the way, and two more for each second that the test
		// takes.
		most = messages / 2
	)
	for name, handled := range map[string]bool{"without a handler": false, "with a handler": true} {
		t.Run(name, func(t *testing.T) {
			late := &lateBroker{Memory: cluster.NewMemory(cluster.MemoryConfig{})}
			n := startHandling(t, func(cfg *node.Config) { cfg.Broker = late }, func(n *node.Node) {
				ns := n.Namespace("chat", node.NamespaceOptions{Relay: node.RelayRooms})
				if handled {
					ns.OnAnyRelay(func(context.Context, *node.RelayRequest) error { return nil })
				}
			})
			flooder, listener := join(t, n, "chat", "flooded"), join(t, n, "chat", "flooded")
			a, b := join(t, n, "chat", "calm"), join(t, n, "chat", "calm")
			var flood strings.Builder
			var want []string
			for i := range messages {
				want = append(want, fmt.Sprintf(";chat;flooded;e;0;0;%d", i))
				flood.WriteString(frame(ws.OpText, true, want[i]))
			}
			flooder.write(flood.String())
			listener.expect(want[0])
			for i := range 10 {
				text := fmt.Sprintf(";chat;calm;e;0;0;%d", i)
				a.send(text)
				b.expect(text)
			}
			if got := late.count(); got > most {
				t.Errorf("%d messages are on the way to a broker that has taken none, want fewer than %d", got, most)
			}
			late.release()
			listener.expect(want[1:]...)
		})
	}
}

// The pause is bounded: a broker that never answers keeps a client for a while
// from sending, and its messages still arrive.
func TestFloodIsReadWithoutAnswers(t *testing.T) {
	t.Parallel()
	n := startNode(t, func(cfg *node.Config) { cfg.Broker = &lateBroker{Memory: cluster.NewMemory(cluster.MemoryConfig{})} })
	flooder, listener := join(t, n, "default", "r"), join(t, n, "default", "r")
	const messages = 300 // more than two shares
	for i := range messages {
		flooder.send(fmt.Sprintf(";default;r;e;0;0;%d", i))
	}
	for i := range messages {
		listener.expect(fmt.Sprintf(";default;r;e;0;0;%d", i))
	}
	if n.Stats().SharesExceeded == 0 {
		t.Error("the client has not been paused")
	}
}
