package node_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/node"
)

// joinTLS connects through a TLS server in front of the node. A loop cannot
// read such a connection: on every system goroutines serve it.
func joinTLS(tb testing.TB, server *httptest.Server, namespace, room string) *peer {
	tb.Helper()
	config := server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	config.ServerName = "example.com" // the name in the test server's certificate
	conn, err := tls.Dial("tcp", server.Listener.Addr().String(), config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	p := &peer{tb: tb, conn: conn, in: bufio.NewReader(conn)}
	p.write(visit(namespace, room))
	p.expectVisit()
	return p
}

// Connections on epoll and behind TLS share a room and see the same order.
func TestMixedTransports(t *testing.T) {
	const messages = 200
	n := startNode(t, nil)
	server := httptest.NewTLSServer(n)
	t.Cleanup(server.Close)
	peers := []*peer{
		joinTLS(t, server, "default", "r"), join(t, n, "default", "r"),
		joinTLS(t, server, "default", "r"), join(t, n, "default", "r"),
	}
	listener := joinTLS(t, server, "default", "r")
	orders := make(chan []string, 2)
	for _, p := range []*peer{listener, join(t, n, "default", "r")} {
		go func() { orders <- texts(p, messages*len(peers)) }()
	}
	for sender, p := range peers {
		go func() {
			for i := range messages {
				_, _ = io.WriteString(p.conn, frame(ws.OpText, true, fmt.Sprintf(";default;r;chat;0;0;%d.%d %s", sender, i, strings.Repeat("x", i*20))))
			}
		}()
		go texts(p, messages*(len(peers)-1))
	}
	first, second := <-orders, <-orders
	next := make([]int, len(peers))
	for i := range messages * len(peers) {
		if i >= len(first) || i >= len(second) || first[i] != second[i] {
			t.Fatalf("the orders differ at message %d of %d and %d", i, len(first), len(second))
		}
		var sender, number int
		if _, err := fmt.Sscanf(first[i], ";default;r;chat;0;0;%d.%d", &sender, &number); err != nil || next[sender] != number {
			t.Fatalf("message %d is %.40q, want number %d of its sender", i, first[i], next[sender])
		}
		next[sender]++
	}
}

// texts reads so many messages.
func texts(p *peer, count int) (got []string) {
	for range count {
		f, err := p.tryNext()
		if err != nil {
			return got
		}
		got = append(got, string(f.Payload))
	}
	return got
}

// The goroutines of a blocking transport end with their connection, even if the
// peer does not read.
func TestBlockingConnectionsLeaveNothing(t *testing.T) {
	const batches, size = 5, 40
	n := startNode(t, func(cfg *node.Config) {
		cfg.Transport = node.TransportBlocking
		cfg.Limits.SendQueue = 256 << 10
		cfg.Timeouts.Close = 100 * time.Millisecond
	})
	publisher := join(t, n, "default", "r")
	before := testkit.CountResources()
	for range batches {
		peers := visitMany(t, n, size, "default", "r")
		for i, p := range peers {
			switch i % 4 {
			case 0:
				p.write(frame(ws.OpClose, true, "\x03\xe8"))
				answerClose(p)
			case 1:
				_ = p.conn.(*net.TCPConn).SetLinger(0)
			case 2: // does not read
				continue
			}
			_ = p.conn.Close()
		}
		eventually(t, "those that do not read are closed", func() bool {
			publisher.write(frame(ws.OpText, true, ";default;r;chat;0;0;"+strings.Repeat("x", 60_000)))
			publisher.sync("default")
			return n.Stats().Connections == 1
		})
		for _, p := range peers {
			_ = p.conn.Close()
		}
	}
	if err := before.AwaitAtMost(); err != nil {
		t.Error("after all connections:", err)
	}
	if s := n.Stats(); s.Memberships != 1 || s.QueueBytes != 0 {
		t.Errorf("%d memberships and %d bytes queued, want 1 and 0", s.Memberships, s.QueueBytes)
	}
}

// Connections from a net/http server take part in the shutdown.
func TestShutdownOfBlockingConnections(t *testing.T) {
	n := startNode(t, nil)
	server := httptest.NewTLSServer(n)
	t.Cleanup(server.Close)
	p := joinTLS(t, server, "default", "r")
	shutdown := make(chan error, 1)
	go func() { shutdown <- n.Shutdown(context.Background()) }()
	if code := answerClose(p); code != 1001 {
		t.Errorf("closed with %d, want 1001", code)
	}
	if err := <-shutdown; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}
