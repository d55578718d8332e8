package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/node"
)

// TestDrainHandlesWhatWasRead: a node shuts down while a handler works on the
// first of several messages that it has read. All are relayed, in order, before
// their sender is closed.
func TestDrainHandlesWhatWasRead(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	nodes := startNodes(t, 1, redisbroker.Config{Servers: []string{server.URL()}})
	begun, release := make(chan struct{}, 1), make(chan struct{})
	made := startNode(t, nodeOptions{
		id: "leaving", redis: redisbroker.Config{Servers: []string{server.URL()}},
		relay: func(context.Context, *node.RelayRequest) error {
			select {
			case begun <- struct{}{}:
			default:
			}
			<-release
			return nil
		},
	})
	stays, leaves := enterRoom(t, nodes[0].Addr().String(), "r"), enterRoom(t, made.Addr().String(), "r")
	var want []string
	for i := range 100 {
		want = append(want, emit(namespace, "r", "m", fmt.Sprint(i)))
		if err := leaves.send(want[i]); err != nil {
			t.Fatal(err)
		}
	}
	<-begun
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- made.Shutdown(ctx) }()
	testkit.Eventually(t, "the drain has begun", func() bool { return made.Stats().Draining })
	select {
	case <-leaves.gone:
		t.Errorf("the connection has ended before its messages are handled: %v", leaves.problem())
	case <-time.After(100 * time.Millisecond): // many turns of the loop
	}
	close(release)
	if err := <-ended; err != nil {
		t.Errorf("Shutdown = %v, want nil", err)
	}
	<-leaves.gone
	if err := leaves.problem(); !strings.Contains(fmt.Sprint(err), "1001") {
		t.Errorf("the sender was closed so: %v; want 1001", err)
	}
	testkit.Eventually(t, "all messages arrive", func() bool { return len(stays.messages()) >= len(want) })
	if got := stays.messages(); !slices.Equal(got, want) {
		t.Errorf("received %d messages, want %d in the order sent", len(got), len(want))
	}
}

// arrivals counts the messages of several senders, which number them.
type arrivals struct {
	t     testing.TB
	count [8]atomic.Int64 // by sender
}

func (a *arrivals) received(text string) {
	var from int
	var number int64
	if _, err := fmt.Sscanf(text[strings.LastIndexByte(text, ';')+1:], "%d.%d", &from, &number); err != nil {
		a.t.Errorf("unexpected message %q", text)
		return
	}
	if last := a.count[from].Load(); number != last+1 {
		a.t.Errorf("message %d of sender %d came after %d", number, from, last)
	}
	a.count[from].Store(number)
}

// TestTerminated ends the program with SIGTERM while its clients send. Messages
// that were sent before the signal reach the members on another node.
func TestTerminated(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	nodes := startNodes(t, 1, redisbroker.Config{Servers: []string{server.URL()}})
	p := startProgram(t, "leaving", "--redis", server.URL())
	arrived := &arrivals{t: t}
	listening, err := openClient(nodes[0].Addr().String(), arrived.received)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(listening.close)
	if err := errors.Join(listening.connect(namespace), listening.join(namespace, "r")); err != nil {
		t.Fatal(err)
	}
	var sent [len(arrived.count)]atomic.Int64
	for i := range sent {
		c := enterRoom(t, p.address, "r")
		go func() {
			for number := int64(1); c.problem() == nil; number++ {
				// More than the sockets take would be nowhere near the node.
				if number-arrived.count[i].Load() > 100 {
					number--
					runtime.Gosched()
					continue
				}
				if c.send(emit(namespace, "r", "m", fmt.Sprintf("%d.%d", i, number))) != nil {
					return
				}
				sent[i].Store(number)
			}
		}()
	}
	for i := range sent {
		testkit.Eventually(t, "all send", func() bool { return sent[i].Load() >= 1000 })
	}
	var before [len(sent)]int64
	for i := range sent {
		before[i] = sent[i].Load()
	}
	p.Signal(syscall.SIGTERM)
	if code := p.Wait(t).ExitCode(); code != 0 {
		t.Errorf("the node ended with exit code %d, want 0", code)
	}
	for i, count := range before {
		testkit.Eventually(t, fmt.Sprintf("the %d messages that sender %d had sent arrive", count, i), func() bool {
			return arrived.count[i].Load() >= count
		})
	}
}

// TestJoinsDuringOutage: joins of new rooms that begin at different moments of
// an outage each end after the time for a join, and not after twice that.
func TestJoinsDuringOutage(t *testing.T) {
	t.Parallel()
	const limit = 2 * time.Second
	server := redistest.Start(t)
	n := startNode(t, nodeOptions{
		id: "n", redis: redisbroker.Config{Servers: []string{server.URL()}},
		change: func(cfg *node.Config) { cfg.Timeouts.Join = limit },
	})
	var joins [3]*listener
	for i := range joins {
		joins[i] = openListener(t, n.Addr().String())
		if err := joins[i].connect(namespace); err != nil {
			t.Fatal(err)
		}
	}
	server.Kill()
	awaitReady(t, []*testNode{n}, false)
	type answer struct {
		text string
		err  error
		took time.Duration
	}
	answers := make(chan answer, len(joins))
	for i, l := range joins {
		go func() {
			began := time.Now()
			text, err := l.request(fmt.Sprintf("$1;%s;room %d;_OnRoomJoin;0;0;", namespace, i))
			answers <- answer{text, err, time.Since(began)}
		}()
		outage(limit / 5)
	}
	for range joins {
		a := <-answers
		if a.err != nil || !strings.HasSuffix(a.text, ";1;0;timeout") || a.took < limit*9/10 || a.took > limit*3/2 {
			t.Errorf("a join was answered %q, %v, after %v; want a timeout after %v", a.text, a.err, a.took, limit)
		}
	}
}
