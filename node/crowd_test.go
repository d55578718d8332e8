package node_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/node"
)

// crowd is a child process of bad clients: each sends half a frame, or one byte
// at a time. It holds half of the descriptors that the test needs.
type crowd struct {
	tb     testing.TB
	cmd    *exec.Cmd
	orders io.WriteCloser
	lines  *bufio.Scanner
}

const (
	childVariable = "STOA_TEST_CHILD"
	childHalves   = "STOA_TEST_CHILD_HALVES"
	childDribbles = "STOA_TEST_CHILD_DRIBBLES"
)

// startChild runs one test of this binary in its own process.
func startChild(tb testing.TB, test string, env ...string) *crowd {
	tb.Helper()
	c := &crowd{tb: tb, cmd: exec.Command(os.Args[0], "-test.run=^"+test+"$", "-test.timeout=2m")}
	c.cmd.Env = append(os.Environ(), env...)
	c.cmd.Stderr = os.Stderr
	var err error
	if c.orders, err = c.cmd.StdinPipe(); err != nil {
		tb.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	c.lines = bufio.NewScanner(out)
	if err := c.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = c.orders.Close()
		for c.lines.Scan() {
		}
		if err := c.cmd.Wait(); err != nil {
			tb.Errorf("child %s: %v", test, err)
		}
	})
	return c
}

// order sends a line to the child.
func (c *crowd) order(line string) {
	c.tb.Helper()
	if _, err := fmt.Fprintln(c.orders, line); err != nil {
		c.tb.Fatal(err)
	}
}

// await reads the child's output up to a line that begins with word, and
// returns the rest of the line.
func (c *crowd) await(word string) string {
	c.tb.Helper()
	var said []string
	for c.lines.Scan() {
		if rest, found := strings.CutPrefix(c.lines.Text(), word); found {
			return strings.TrimSpace(rest)
		}
		said = append(said, c.lines.Text())
	}
	c.tb.Fatalf("the child ended without %q: %q", word, said)
	return ""
}

// Thousands of clients that stop in the middle of a frame, or send it byte by
// byte, do not disturb a conversation on the same node, and are served in the
// end.
func TestHalfFrames(t *testing.T) {
	halves, dribbles := 10_000, 1_000
	if testTransport(t) == node.TransportBlocking {
		// One goroutine each; the race detector supports 8,128 of them.
		halves, dribbles = 2_000, 500
	}
	n := startNode(t, func(cfg *node.Config) { cfg.Timeouts.Handshake = -1 })
	a, b := join(t, n, "default", "r"), join(t, n, "default", "r")
	child := startChild(t, "TestChildCrowd", childVariable+"="+n.Addr().String(),
		fmt.Sprintf("%s=%d", childHalves, halves), fmt.Sprintf("%s=%d", childDribbles, dribbles))
	child.await("ready")
	eventually(t, "all connections are there", func() bool {
		s := n.Stats()
		return s.Connections+s.Pending == halves+dribbles+2
	})
	before := n.Stats().BytesIn
	for i := range 300 {
		there, back := fmt.Sprintf(";default;r;chat;0;0;there %d", i), fmt.Sprintf(";default;r;chat;0;0;back %d", i)
		a.send(there)
		b.expect(there)
		b.send(back)
		a.expect(back)
	}
	eventually(t, "the slow clients go on", func() bool { return n.Stats().BytesIn > before+uint64(dribbles) })
	if s := n.Stats(); s.Connections+s.Pending != halves+dribbles+2 {
		t.Errorf("%d connections are left, want all %d", s.Connections+s.Pending, halves+dribbles+2)
	}
	child.order("finish")
	if got, want := child.await("served"), fmt.Sprint(halves+dribbles); got != want {
		t.Errorf("%s bad clients were served in the end, want %s", got, want)
	}
	eventually(t, "they have closed", func() bool { s := n.Stats(); return s.Connections == 2 && s.Pending == 0 })
}

// TestChildCrowd is the process that startChild runs; run alone it does
// nothing.
func TestChildCrowd(t *testing.T) {
	address := os.Getenv(childVariable)
	if address == "" {
		return
	}
	var halves, dribbles int
	if _, err := fmt.Sscan(os.Getenv(childHalves)+" "+os.Getenv(childDribbles), &halves, &dribbles); err != nil {
		t.Fatal(err)
	}
	clients := make([]badClient, halves+dribbles)
	for i := range clients {
		if err := clients[i].open(address, i, i < halves); err != nil {
			t.Fatal(err)
		}
	}
	fmt.Println("\nready")
	var finish atomic.Bool
	go func() {
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		finish.Store(true)
	}()
	for round := 0; !finish.Load(); round++ {
		for i := halves; i < len(clients); i++ {
			if err := clients[i].dribble(); err != nil {
				t.Fatalf("client %d, byte %d: %v", i, round, err)
			}
		}
	}
	served := 0
	for i := range clients {
		if err := clients[i].finish(); err != nil {
			t.Fatalf("client %d: %v", i, err)
		}
		served++
	}
	fmt.Println("\nserved", served)
}

// badClient has a part of its conversation still to send, and knows how it
// ends.
type badClient struct {
	conn net.Conn
	rest string
	last string // the end of the node's last answer
	next string // repeated by a client that sends single bytes
}

// open connects and sends the first part.
func (c *badClient) open(address string, number int, half bool) (err error) {
	if c.conn, err = net.Dial("tcp", address); err != nil {
		return err
	}
	token := fmt.Sprintf("$%d", number)
	ask := frame(ws.OpText, true, token+";default;;who;0;0;"+strings.Repeat("x", number%7*100))
	connect := frame(ws.OpText, true, "$c;default;;_OnNamespaceConnect;0;0;")
	all := upgradeRequest("/ws") + frame(ws.OpText, true, "M") + connect + ask
	cut := len(all) - len(ask)/2
	if half {
		switch number % 4 {
		case 1: // in the request's head
			cut = 60
		case 2: // in the hello
			cut = len(all) - len(ask) - len(connect) - 2
		case 3: // in a frame's header
			cut = len(all) - len(ask) + 1
		}
	} else {
		c.next = ask
	}
	c.rest, c.last = all[cut:], token+";default;;who;1;0;unhandled event"
	_, err = io.WriteString(c.conn, all[:cut])
	return err
}

// dribble sends one more byte.
func (c *badClient) dribble() error {
	if c.rest == "" {
		c.rest = c.next
	}
	_, err := io.WriteString(c.conn, c.rest[:1])
	c.rest = c.rest[1:]
	return err
}

// finish sends the rest, waits for the answers, and closes.
func (c *badClient) finish() error {
	if c.rest == "" {
		c.rest = c.next
	}
	// Another ask after the rest: its answer is the last message.
	end := frame(ws.OpText, true, "$end;default;;who;0;0;")
	if _, err := io.WriteString(c.conn, c.rest+end); err != nil {
		return err
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	var all strings.Builder
	buffer := make([]byte, 4096)
	for !strings.HasSuffix(all.String(), "$end;default;;who;1;0;unhandled event") {
		n, err := c.conn.Read(buffer)
		all.Write(buffer[:n])
		if err != nil {
			return fmt.Errorf("%w after %.300q", err, all.String())
		}
	}
	if !strings.Contains(all.String(), c.last) {
		return fmt.Errorf("want %q among the answers, got %.300q", c.last, all.String())
	}
	return c.conn.Close()
}
