package node_test

import (
	"net/http"
	"testing"

	"github.com/stoa-io/stoa/node"
)

// Silent sockets beyond the limit are closed, the oldest first. The others can
// still open a WebSocket.
func TestPendingHandshakes(t *testing.T) {
	const (
		limit = 4
		part  = "GET /ws HTTP/1.1\r\n"
	)
	n := startNode(t, func(cfg *node.Config) {
		cfg.Loops = 1
		cfg.Limits.PendingHandshakes = limit
		cfg.Timeouts.Handshake = patience
	})
	var silent []*peer
	for i := range 2 * limit {
		p := connectTCP(t, n)
		if i%2 == 1 {
			// One that has sent a part of its request is not better off.
			p.write(part)
		}
		silent = append(silent, p)
		eventually(t, "the socket is accepted", func() bool { return n.Stats().Accepted == uint64(len(silent)) })
	}
	eventually(t, "half of the sockets are closed", func() bool {
		s := n.Stats()
		return s.Handshakes[node.HandshakeEvicted] == limit && s.Pending == limit
	})
	for _, p := range silent[:limit] {
		p.expectEnd()
	}
	for i, p := range silent[limit:] {
		request := upgradeRequest("/ws")
		if i%2 == 1 {
			request = request[len(part):]
		}
		p.write(request)
		if response := p.response(); response.StatusCode != http.StatusSwitchingProtocols {
			t.Errorf("a socket within the limit was answered with %s", response.Status)
		}
		_ = p.conn.Close()
	}
}

// A client whose request has arrived is served, however many sockets are in
// front of it and behind it.
func TestPendingRequestIsServed(t *testing.T) {
	const clients = 20
	n := newNode(t, func(cfg *node.Config) {
		cfg.Loops = 1
		cfg.Limits.PendingHandshakes = 10
		cfg.Timeouts.Handshake = patience
	})
	if err := n.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	var open []*peer
	for range clients {
		p := connectTCP(t, n)
		p.write(upgradeRequest("/ws"))
		open = append(open, p)
		connectTCP(t, n)
	}
	serve(t, n)
	for i, p := range open {
		if response := p.response(); response.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("client %d was answered with %s", i, response.Status)
		}
		_ = p.conn.Close()
	}
}

// Without a limit silent sockets stay until they time out.
func TestPendingHandshakesOff(t *testing.T) {
	n := startNode(t, func(cfg *node.Config) {
		cfg.Loops = 1
		cfg.Limits.PendingHandshakes = -1
		cfg.Timeouts.Handshake = patience
	})
	const sockets = 100
	for range sockets {
		connectTCP(t, n)
	}
	eventually(t, "all sockets are pending", func() bool { return n.Stats().Pending == sockets })
}
