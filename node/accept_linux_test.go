package node_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/node"
)

const childNode = "STOA_TEST_CHILD_NODE"

// A node that runs out of descriptors counts it, keeps serving its connections,
// and accepts the waiting ones when descriptors are free again.
func TestOutOfDescriptors(t *testing.T) {
	const count, served, late = 120, 20, 40
	child := startChild(t, "TestChildNode", childNode+"=1")
	address := child.await("listening")
	peers := make([]*peer, count)
	for i := range peers {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		peers[i] = &peer{tb: t, conn: conn, in: bufio.NewReader(conn)}
	}
	child.await("exhausted")

	// The first ones are served. A request that needs a second descriptor on
	// its way to net/http may be dropped.
	for i, p := range peers[:served] {
		p.write(visit("default", fmt.Sprint("r", i)))
	}
	for _, p := range peers[:served] {
		p.expectVisit()
	}
	for _, p := range peers[served : served+10] {
		p.write("GET /nothing HTTP/1.1\r\nHost: stoa.test\r\nConnection: close\r\n\r\n")
	}
	for round := range 20 {
		for i, p := range peers[:served] {
			p.send(fmt.Sprintf("$%d.%d;default;;who;0;0;", round, i))
		}
		for i, p := range peers[:served] {
			p.expect(fmt.Sprintf("$%d.%d;default;;who;1;0;unhandled event", round, i))
		}
	}
	for _, p := range peers[served : served+10] {
		p.deadline()
		if response, err := http.ReadResponse(p.in, nil); err == nil {
			if response.StatusCode != http.StatusNotFound {
				t.Errorf("answered %s, want 404 or the end", response.Status)
			}
			_ = response.Body.Close()
		}
		_ = p.conn.Close()
	}

	// Enough of them close to make room for the last ones.
	for _, p := range peers[served+10 : count-late] {
		_ = p.conn.Close()
	}
	for _, p := range peers[count-late:] {
		p.write(visit("default", "late"))
	}
	for _, p := range peers[count-late:] {
		p.expectVisit()
	}
	peers[0].write(frame(ws.OpClose, true, "\x03\xe8"))
	peers[0].expectClose(1000)
	child.order("end")
	child.await("ended")
}

// TestChildNode is the process that TestOutOfDescriptors runs; run alone it
// does nothing.
func TestChildNode(t *testing.T) {
	if os.Getenv(childNode) == "" {
		return
	}
	n := startNode(t, func(cfg *node.Config) {
		cfg.Loops = 1 // so that connections are accepted in their order
		cfg.Timeouts.Handshake = -1
		cfg.Timeouts.Close = 100 * time.Millisecond
	})
	// One whole conversation opens everything that Go opens on first use.
	p := join(t, n, "default", "r")
	_ = p.conn.Close()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	limit := uint64(len(entries) + 70)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		t.Fatal(err)
	}
	fmt.Println("\nlistening", n.Addr())
	eventually(t, "accepting fails", func() bool { return n.Stats().AcceptErrors > 0 })
	fmt.Println("\nexhausted")
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "end" {
		t.Fatalf("read %q, %v; want the order to end", line, err)
	}
	if err := n.Shutdown(context.Background()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	fmt.Println("\nended")
}
