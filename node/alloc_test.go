package node

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/internal/testkit"
)

// client speaks just enough of the protocol to talk to a node.
type client struct {
	tb   testing.TB
	conn net.Conn
	in   *bufio.Reader
}

func dialClient(tb testing.TB, n *Node) *client {
	tb.Helper()
	conn, err := net.Dial("tcp", n.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	c := &client{tb: tb, conn: conn, in: bufio.NewReaderSize(conn, 256<<10)}
	c.write([]byte("GET /ws HTTP/1.1\r\nHost: stoa.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"))
	response, err := http.ReadResponse(c.in, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		tb.Fatalf("upgrade: %v, %v", response, err)
	}
	c.write(clientFrame("M"))
	c.write(clientFrame("$c;default;;_OnNamespaceConnect;0;0;"))
	c.write(clientFrame("$j;default;r;_OnRoomJoin;0;0;"))
	for range 3 {
		if _, err := testkit.ReadFrame(c.in); err != nil {
			tb.Fatal(err)
		}
	}
	return c
}

func clientFrame(text string) []byte {
	return ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(text))))
}

func (c *client) write(data []byte) {
	if _, err := c.conn.Write(data); err != nil {
		c.tb.Fatal(err)
	}
}

// skip discards so many bytes without allocating.
func (c *client) skip(count int) {
	for count > 0 {
		n, err := c.in.Discard(count)
		if err != nil {
			c.tb.Fatal(err)
		}
		count -= n
	}
}

// relayAllocs returns the allocations per message that is received and relayed
// to so many other members, over a real node. The client's side allocates
// nothing. Each message follows so many emits without a room.
func relayAllocs(t *testing.T, o NamespaceOptions, members, together, before int) float64 {
	t.Helper()
	const rounds = 300
	n, err := New(Config{Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	n.Namespace("default", o)
	if o.Access != (Access{}) {
		n.OnAccept(func(_ context.Context, a *Accept) error {
			a.Identity = access.Identity{User: "ann", Permissions: []access.Permission{
				{Namespace: "default", Rooms: []string{"other", "{user}-*", "r"}, Allow: access.Emit},
			}}
			return nil
		})
	}
	if err := n.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- n.Serve() }()
	defer func() {
		_ = n.Close()
		<-served
	}()
	publisher := dialClient(t, n)
	listeners := make([]*client, members)
	for i := range listeners {
		listeners[i] = dialClient(t, n)
	}
	text := ";default;r;chat;0;0;" + strings.Repeat("x", 64)
	var batch []byte
	for range together {
		for range before {
			batch = append(batch, clientFrame(";default;;chat;0;0;x")...)
		}
		batch = append(batch, clientFrame(text)...)
	}
	delivered := together * len(engine.NewFrame(ws.OpText, []byte(text)))
	round := func() {
		publisher.write(batch)
		for _, l := range listeners {
			l.skip(delivered)
		}
	}
	for range rounds { // buffers and queues find their sizes
		round()
	}
	var start, end runtime.MemStats
	runtime.ReadMemStats(&start)
	for range rounds {
		round()
	}
	runtime.ReadMemStats(&end)
	return float64(end.Mallocs-start.Mallocs) / float64(rounds*together)
}

// A message that is received and relayed costs at most three allocations, and
// none per member that it is delivered to.
func TestRelayAllocations(t *testing.T) {
	const limit = 3
	for _, together := range []int{1, 64} {
		options := NamespaceOptions{Relay: RelayRooms}
		few, many := relayAllocs(t, options, 1, together, 0), relayAllocs(t, options, 101, together, 0)
		t.Logf("%d together: %.2f allocations per message with 1 other member, %.2f with 101", together, few, many)
		if few > limit || many > limit {
			t.Errorf("%d together: %.2f and %.2f allocations per message, want at most %d", together, few, many, limit)
		}
		if perDelivery := (many - few) / 100; perDelivery > 0.01 {
			t.Errorf("%d together: %.3f allocations per delivery, want none", together, perDelivery)
		}
	}
}

// An ask to a room is one message for all members: only the token before it is
// each member's own.
func TestAskToRoomIsShared(t *testing.T) {
	const members, rounds, size, perMember = 50, 5, 60_000, 2000
	n, err := New(Config{Loops: 1, Namespaces: map[string]NamespaceOptions{"default": {Relay: RelayRooms | RelayAsks}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- n.Serve() }()
	defer func() {
		_ = n.Close()
		<-served
	}()
	asking := dialClient(t, n)
	asked := make([]*client, members)
	for i := range asked {
		asked[i] = dialClient(t, n)
	}
	rest := ";default;r;q;0;0;" + strings.Repeat("x", size)
	ask := clientFrame("$1" + rest)
	delivered := len(engine.NewFrame(ws.OpText, []byte("1"+rest)))
	round := func() {
		asking.write(ask)
		for _, c := range asked {
			c.skip(delivered)
		}
	}
	round()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range rounds {
		round()
	}
	runtime.ReadMemStats(&after)
	perAsk := (after.TotalAlloc - before.TotalAlloc) / rounds
	t.Logf("%d bytes are allocated for an ask of %d bytes to %d members", perAsk, size, members)
	if limit := uint64(8*size + members*perMember); perAsk > limit {
		t.Errorf("%d bytes are allocated for an ask of %d bytes to %d members, want at most %d", perAsk, size, members, limit)
	}
}
