package node_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/cluster/clustertest"
	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/node"
)

// visit is all messages of a client up to its join, in one write.
func visit(namespace, room string) string {
	return upgradeRequest("/ws") + frame(ws.OpText, true, "M") +
		frame(ws.OpText, true, "$c;"+namespace+";;_OnNamespaceConnect;0;0;") +
		frame(ws.OpText, true, "$j;"+namespace+";"+room+";_OnRoomJoin;0;0;")
}

// expectVisit reads the answers to visit.
func (p *peer) expectVisit() {
	p.tb.Helper()
	if response := p.response(); response.StatusCode != 101 {
		p.tb.Fatalf("upgrade answered %s, want 101", response.Status)
	}
	p.id = string(p.next().Payload[1:])
	p.expect("$c;;;;;;", "$j;;;;;;")
}

// visitMany opens connections without waiting for each.
func visitMany(tb testing.TB, n *node.Node, count int, namespace, room string) []*peer {
	tb.Helper()
	peers := make([]*peer, count)
	for i := range peers {
		peers[i] = connectTCP(tb, n)
		peers[i].write(visit(namespace, room))
	}
	for _, p := range peers {
		p.expectVisit()
	}
	return peers
}

// Closed connections leave no goroutine and no descriptor.
func TestManyConnectionsLeaveNothing(t *testing.T) {
	const batches, size = 20, 250
	n := startNode(t, nil)
	listener := join(t, n, "default", "r")
	before := testkit.CountResources()
	for batch := range batches {
		peers := visitMany(t, n, size, "default", "r")
		peers[0].send(";default;r;chat;0;0;hello")
		listener.expect(";default;r;chat;0;0;hello")
		for i, p := range peers {
			switch (batch + i) % 4 {
			case 0:
				p.write(frame(ws.OpClose, true, "\x03\xe8"))
				if code := answerClose(p); code != 1000 {
					t.Fatalf("close was answered with %d, want 1000", code)
				}
			case 1:
				p.write(frame(ws.OpText, true, ";default;r")[:8])
			case 2:
				_ = p.conn.(*net.TCPConn).SetLinger(0) // a reset instead of a close
			}
			_ = p.conn.Close()
		}
	}
	eventually(t, "the connections have closed", func() bool { return n.Stats().Connections == 1 })
	if err := before.AwaitAtMost(); err != nil {
		t.Error("after 5,000 connections:", err)
	}
	s := n.Stats()
	if s.Accepted != 1+batches*size || s.Memberships != 1 || s.Pending != 0 {
		t.Errorf("%d accepted, %d memberships, %d pending; want %d, 1, 0", s.Accepted, s.Memberships, s.Pending, 1+batches*size)
	}
}

// Short connections reuse descriptors and slots; none may receive a message for
// an earlier one.
func TestReusedDescriptors(t *testing.T) {
	const clients, rounds = 6, 250
	n := startNode(t, nil)
	ids := make(chan string, clients*rounds)
	var group sync.WaitGroup
	for client := range clients {
		group.Go(func() {
			for round := range rounds {
				mark := fmt.Sprintf("%d.%d", client, round)
				id, err := shortVisit(n.Addr().String(), mark, round%3)
				if err != nil {
					t.Errorf("visit %s: %v", mark, err)
					return
				}
				if id != "" {
					ids <- id
				}
			}
		})
	}
	group.Wait()
	close(ids)
	seen := make(map[string]bool)
	for id := range ids {
		if seen[id] {
			t.Errorf("two connections had the ID %s", id)
		}
		seen[id] = true
	}
	eventually(t, "all clients have closed", func() bool {
		s := n.Stats()
		return s.Connections == 0 && s.Pending == 0 && s.Memberships == 0
	})
}

// shortVisit connects, asks with its own tokens, and closes: after the answers,
// before them, or in the middle of a frame. It must receive only its own
// answers.
func shortVisit(address, mark string, manner int) (id string, err error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	text := visit("default", "room"+mark)
	for i := range 3 {
		text += frame(ws.OpText, true, fmt.Sprintf("$%s-%d;default;;who;0;0;", mark, i))
	}
	switch manner {
	case 1:
		_, err = io.WriteString(conn, text)
		_ = conn.(*net.TCPConn).SetLinger(0)
		return "", err
	case 2:
		_, err = io.WriteString(conn, text[:len(text)-5])
		return "", err
	}
	if _, err := io.WriteString(conn, text); err != nil {
		return "", err
	}
	in := bufio.NewReader(conn)
	for line := ""; line != "\r\n"; {
		if line, err = in.ReadString('\n'); err != nil {
			return "", err
		}
	}
	want := []string{"A", "$c;;;;;;", "$j;;;;;;"}
	for i := range 3 {
		want = append(want, fmt.Sprintf("$%s-%d;default;;who;1;0;unhandled event", mark, i))
	}
	for i, text := range want {
		f, err := testkit.ReadFrame(in)
		if err != nil {
			return "", err
		}
		if i == 0 {
			id = strings.TrimPrefix(string(f.Payload), text)
		} else if string(f.Payload) != text {
			return "", fmt.Errorf("got %s, want %q", describe(f), text)
		}
	}
	return id, nil
}

// neffos row 2: nothing races and nothing hangs when everything happens at
// once. The broker is slow, fails and is congested at times; nothing may be
// left in the end.
func TestEverythingAtOnce(t *testing.T) {
	const clients, rounds = 12, 40
	faulty := clustertest.NewFaulty(newMemory())
	n := startNode(t, func(cfg *node.Config) {
		cfg.Loops = 3
		cfg.Broker = faulty
		cfg.Limits.SendQueue = 64 << 10
		cfg.Limits.LoopQueue = 8 << 10
		cfg.Limits.ReceiveQueue = 2 << 10
		cfg.Timeouts.Close = 200 * time.Millisecond
		cfg.Timeouts.Ping = 50 * time.Millisecond
	})
	stop := make(chan struct{})
	var troubles sync.WaitGroup
	troubles.Go(func() { trouble(n, faulty, stop) })
	var group sync.WaitGroup
	for client := range clients {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(client), 42))
			for round := range rounds {
				if err := wildVisit(n.Addr().String(), random); err != nil {
					t.Errorf("client %d, visit %d: %v", client, round, err)
					return
				}
			}
		})
	}
	group.Wait()
	close(stop)
	troubles.Wait()
	eventually(t, "nothing is left", func() bool {
		s := n.Stats()
		return s.Connections == 0 && s.Pending == 0 && s.Rooms == 0 && s.Memberships == 0 &&
			s.QueueBytes == 0 && s.InboxBytes == 0 && s.Paused == 0 && !s.Congested && s.Subscriptions == 0
	})
	s := n.Stats()
	if s.Accepted != clients*rounds || s.MessagesIn[0][node.MessageRelayed] == 0 {
		t.Errorf("%d connections accepted and %d messages relayed, want %d and some",
			s.Accepted, s.MessagesIn[0][node.MessageRelayed], clients*rounds)
	}
	a, b := join(t, n, "default", "r1"), join(t, n, "default", "r1")
	a.send(";default;r1;chat;0;0;all is well")
	b.expect(";default;r1;chat;0;0;all is well")
}

// trouble changes the faults of the broker until stop, and clears them then.
func trouble(n *node.Node, faulty *clustertest.Faulty, stop <-chan struct{}) {
	defer faulty.Set(clustertest.Faults{})
	faults := []clustertest.Faults{
		{Delay: time.Millisecond}, {}, {Subscribe: errors.New("no")}, {Delay: 5 * time.Millisecond},
		{Unsubscribe: errors.New("no")}, {Publish: errors.New("no")},
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		faulty.Set(faults[i%len(faults)])
		if i%2 == 0 {
			faulty.Congest(0, true)
		}
		n.Stats()
		_ = n.Ready(context.Background())
		select {
		case <-tick.C:
		case <-stop:
		}
		if i%2 == 0 {
			faulty.Congest(0, false)
		}
		select {
		case <-stop:
			return
		default:
		}
	}
}

// wildVisit sends many messages, in any order, and ends in one of many ways. It
// may or may not read the answers.
func wildVisit(address string, random *rand.Rand) (err error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	var reader sync.WaitGroup
	var ended error
	defer func() {
		reader.Wait() // the node or this side has closed it by now
		if errors.Is(ended, os.ErrDeadlineExceeded) {
			err = errors.New("the connection was not ended")
		}
	}()
	reads := random.IntN(4) != 0
	if reads {
		reader.Go(func() { _, ended = io.Copy(io.Discard, conn) })
	}
	namespaces := []string{"default", "rooms", "closed", "nowhere"}
	events := []string{"_OnRoomJoin", "_OnRoomJoin", "_OnRoomLeave", "_OnNamespaceDisconnect", "_OnNamespaceConnect", "chat", "chat", "chat", "chat"}
	text := visit("default", "r1")
	for range random.IntN(100) {
		event, token := events[random.IntN(len(events))], ""
		if event != "chat" || random.IntN(8) == 0 {
			token = fmt.Sprint("$", random.IntN(1000))
		}
		message := fmt.Sprintf("%s;%s;r%d;%s;0;0;%s", token, namespaces[random.IntN(10)/7*random.IntN(4)],
			random.IntN(5), event, strings.Repeat("x", random.IntN(300)))
		text += frame(ws.OpText, true, message)
	}
	switch random.IntN(6) {
	case 0:
		text += frame(ws.OpClose, true, "\x03\xe8")
	case 1:
		text += "\xff\xff\xff" // a violation
	case 2:
		text = text[:random.IntN(len(text))]
	}
	if _, err := io.WriteString(conn, text); err != nil && reads {
		// The node may have closed it: too slow, or for the violation.
		return nil
	}
	tcp := conn.(*net.TCPConn)
	switch ending := random.IntN(3); {
	case reads && ending == 0:
		return tcp.CloseWrite() // the node closes it
	case ending == 1:
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
	return nil
}
