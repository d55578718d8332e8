package compat_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kataras/neffos"
	"github.com/kataras/neffos/gobwas"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/wire"
)

// These tests run package client against a neffos server and a Stoa node with the
// same behavior, which the package comment of test/peer describes.

// peerServer is one of the two servers, as a process.
type peerServer struct {
	t       *testing.T
	binary  string
	address string
	process *testkit.Process
}

// eachPeer runs a test against both.
func eachPeer(t *testing.T, test func(t *testing.T, p *peerServer)) {
	for name, folder := range map[string]string{"neffos": "./server", "stoa": "../../peer"} {
		t.Run(name, func(t *testing.T) {
			p := &peerServer{t: t, binary: filepath.Join(t.TempDir(), "peer"), address: "127.0.0.1:0"}
			build := exec.Command("go", "build", "-o", p.binary, ".")
			build.Dir = folder
			if output, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%s does not build: %v\n%s", folder, err, output)
			}
			p.start()
			test(t, p)
		})
	}
}

// start starts the server, after the first time on the same address.
func (p *peerServer) start() {
	p.t.Helper()
	p.process = testkit.StartProcess(p.t, exec.Command(p.binary, "-listen", p.address))
	p.address = p.process.Await(p.t, listensAt)
}

func (p *peerServer) url(query string) string { return "ws://" + p.address + "/ws" + query }

// log collects the calls of a client's handlers.
type log chan string

func (l log) expect(t *testing.T, lines ...string) {
	t.Helper()
	for _, want := range lines {
		select {
		case got := <-l:
			if got != want {
				t.Fatalf("heard %q, want %q", got, want)
			}
		case <-time.After(deadline):
			t.Fatalf("still waiting for %q", want)
		}
	}
}

func (l log) namespace() *client.Namespace {
	ns := new(client.Namespace)
	ns.OnConnected(func(_ context.Context, e *client.ConnectedEvent) { l <- "connected " + e.NSConn.Namespace() })
	ns.OnDisconnected(func(_ context.Context, e *client.DisconnectedEvent) {
		l <- fmt.Sprint("disconnected ", e.NSConn.Namespace(), " ", e.Forced)
	})
	ns.OnJoined(func(_ context.Context, e *client.JoinedEvent) { l <- "joined " + e.Room.Name() })
	ns.OnLeft(func(_ context.Context, e *client.LeftEvent) {
		l <- fmt.Sprint("left ", e.Room.Name(), " ", e.Forced)
	})
	ns.OnAnyEmit(func(_ context.Context, e *client.EmitEvent) error {
		l <- fmt.Sprintf("%s %q %s %v", e.Event, e.Room, e.Body, e.Binary)
		return nil
	})
	ns.OnAsk("question", func(_ context.Context, r *client.AskRequest) error {
		r.Reply(append([]byte("an answer "), r.Body...))
		return nil
	})
	return ns
}

// dialOurs connects our client; its handlers write to the log.
func dialOurs(t *testing.T, url string, states chan *client.StateEvent) (*client.Conn, log) {
	t.Helper()
	heard := make(log, 10000)
	o := client.Options{
		DefaultNamespace: heard.namespace(),
		Reconnect:        client.Reconnect{Base: time.Millisecond, Cap: 50 * time.Millisecond},
		OnNative: func(_ context.Context, e *client.NativeEvent) error {
			heard <- fmt.Sprint(string(e.Payload), " ", e.Binary)
			return nil
		},
	}
	if states != nil {
		o.OnState = func(_ context.Context, e *client.StateEvent) { states <- e }
	}
	c, err := client.Dial(within(t), url, o)
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, heard
}

func connectOurs(t *testing.T, c *client.Conn, name string) *client.NSConn {
	t.Helper()
	ns, err := c.Connect(within(t), name)
	if err != nil {
		t.Fatalf("Connect %q: %v", name, err)
	}
	return ns
}

func TestStoaClientOutline(t *testing.T) {
	eachPeer(t, func(t *testing.T, p *peerServer) {
		ann, heardByAnn := dialOurs(t, p.url(""), nil)
		bob, heardByBob := dialOurs(t, p.url(""), nil)
		ctx := within(t)
		if ann.ID() == "" || ann.ID() == bob.ID() {
			t.Errorf("the IDs are %q and %q, want two", ann.ID(), bob.ID())
		}
		ns := connectOurs(t, ann, "default")
		room, err := ns.JoinRoom(ctx, "lobby")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := connectOurs(t, bob, "default").JoinRoom(ctx, "lobby"); err != nil {
			t.Fatal(err)
		}
		heardByAnn.expect(t, "connected default", "joined lobby")
		heardByBob.expect(t, "connected default", "joined lobby")

		if err := room.Emit("chat", []byte("hi;there")); err != nil {
			t.Fatal(err)
		}
		if err := room.EmitBinary("chat", []byte("\x00")); err != nil {
			t.Fatal(err)
		}
		heardByBob.expect(t, `chat "lobby" hi;there false`, "chat \"lobby\" \x00 true")
		if answer, err := ns.Ask(ctx, "echo", []byte("a;b")); err != nil || string(answer.Body) != "a;b" {
			t.Errorf("Ask: %q, %v", answer.Body, err)
		}
		answer, err := ann.Ask(ctx, client.Message{Namespace: "default", Room: "lobby", Event: "echo", Body: []byte{0xff}, Binary: true})
		if err != nil || string(answer.Body) != "\xff" || !answer.Binary {
			t.Errorf("Conn.Ask: %q, %v", answer.Body, err)
		}
		if _, err := ns.Ask(ctx, "fail", nil); !errors.Is(err, wire.RemoteError("boom;1")) {
			t.Errorf("an ask that fails: %v", err)
		}
		if _, err := ann.Connect(ctx, "deny"); !errors.Is(err, wire.RemoteError("not allowed")) {
			t.Errorf("connecting where it is refused: %v", err)
		}
		if _, err := ann.Connect(ctx, "unheard of"); !errors.Is(err, wire.ErrBadNamespace) {
			t.Errorf("connecting to an unknown namespace: %v", err)
		}
		if _, err := ns.JoinRoom(ctx, "locked"); !errors.Is(err, wire.RemoteError("room is locked")) {
			t.Errorf("joining a locked room: %v", err)
		}
		if answer, err := connectOurs(t, ann, "n;s").Ask(ctx, "e;v", []byte("odd")); err != nil || string(answer.Body) != "odd" {
			t.Errorf("an ask with odd names: %q, %v", answer.Body, err)
		}
		heardByAnn.expect(t, "connected n;s")
		sticky, err := ns.JoinRoom(ctx, "sticky")
		if err != nil {
			t.Fatal(err)
		}
		if err := sticky.Leave(ctx); !errors.Is(err, wire.RemoteError("cannot leave")) || ns.Room("sticky") != sticky {
			t.Errorf("leaving what cannot be left: %v", err)
		}
		if err := room.Leave(ctx); err != nil {
			t.Errorf("Leave: %v", err)
		}
		if err := ann.DisconnectAll(ctx); err != nil || len(ann.Namespaces()) != 0 {
			t.Errorf("DisconnectAll: %v, left %d", err, len(ann.Namespaces()))
		}
		heardByAnn.expect(t, "joined sticky", "left lobby false")
		short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		if _, err := bob.Namespace("default").Ask(short, "silent", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an ask without an answer: %v, want %v", err, context.DeadlineExceeded)
		}
		if err := bob.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		heardByBob.expect(t, "left lobby true", "disconnected default true")
	})
}

func TestStoaClientDoesWhatItsServerWants(t *testing.T) {
	eachPeer(t, func(t *testing.T, p *peerServer) {
		conn, heard := dialOurs(t, p.url(""), nil)
		ns := connectOurs(t, conn, "default")
		heard.expect(t, "connected default")
		steps := []struct {
			do     string
			before []string
			did    string
		}{
			{"ask question", nil, "an answer from the server"},
			{"connect second", []string{"connected second"}, "done"},
			{"join den", []string{"joined den"}, "done"},
			{"leave den", []string{"left den false"}, "done"},
			{"disconnect second", []string{"disconnected second false"}, "done"},
		}
		for _, step := range steps {
			if err := ns.Emit("do", []byte(step.do)); err != nil {
				t.Fatal(err)
			}
			heard.expect(t, append(step.before, fmt.Sprintf("did %q %s false", "", step.did))...)
		}
		brought, heardByBrought := dialOurs(t, p.url("?bring=brought"), nil)
		second, err := brought.WaitServerConnect(within(t), "brought")
		if err != nil {
			t.Fatal(err)
		}
		if answer, err := second.Ask(within(t), "echo", []byte("x")); err != nil || string(answer.Body) != "x" {
			t.Errorf("an ask where the server connected us: %q, %v", answer.Body, err)
		}
		heardByBrought.expect(t, "connected brought")
		connectOurs(t, brought, "")
		heardByBrought.expect(t, "connected ")
		if err := brought.WriteNative([]byte("plain"), false); err != nil {
			t.Fatal(err)
		}
		heardByBrought.expect(t, "native:plain false")

		_, err = client.Dial(within(t), p.url("?refuse=not+you"), client.Options{})
		if !errors.Is(err, client.ErrRefused) || !strings.Contains(err.Error(), "not you") {
			t.Errorf("Dial where it is refused: %v", err)
		}
	})
}

func TestStoaClientComesBack(t *testing.T) {
	eachPeer(t, func(t *testing.T, p *peerServer) {
		states := make(chan *client.StateEvent, 10000)
		conn, heard := dialOurs(t, p.url(""), states)
		other, heardByOther := dialOurs(t, p.url(""), nil)
		room, err := connectOurs(t, conn, "default").JoinRoom(within(t), "lobby")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := connectOurs(t, other, "default").JoinRoom(within(t), "lobby"); err != nil {
			t.Fatal(err)
		}
		heard.expect(t, "connected default", "joined lobby")
		heardByOther.expect(t, "connected default", "joined lobby")
		for round := range 5 {
			p.process.Kill()
			awaitState(t, states, client.StateReconnecting)
			p.start()
			awaitState(t, states, client.StateConnected)
			deadline := within(t)
			for {
				// The other client reconnects at its own pace and misses the
				// messages until then.
				if err := room.Emit("chat", fmt.Append(nil, round)); err != nil {
					t.Fatal(err)
				}
				if got := poll(heardByOther); got == fmt.Sprintf("chat %q %d false", "lobby", round) {
					break
				}
				if deadline.Err() != nil {
					t.Fatalf("round %d: nothing arrives", round)
				}
			}
			for poll(heardByOther) != "" {
			}
		}
	})
}

// poll waits a moment for a line.
func poll(heard log) string {
	select {
	case line := <-heard:
		return line
	case <-time.After(20 * time.Millisecond):
		return ""
	}
}

func awaitState(t *testing.T, states chan *client.StateEvent, want client.State) {
	t.Helper()
	late := time.After(deadline)
	for {
		select {
		case tr := <-states:
			if tr.To == want {
				return
			}
		case <-late:
			t.Fatalf("the state does not become %v", want)
		}
	}
}

func TestManyStoaClients(t *testing.T) {
	eachPeer(t, func(t *testing.T, p *peerServer) {
		var all sync.WaitGroup
		for range 30 {
			all.Go(func() {
				conn, _ := dialOurs(t, p.url(""), nil)
				ns, err := conn.Connect(within(t), "default")
				if err != nil {
					t.Errorf("Connect: %v", err)
					return
				}
				for i := range 30 {
					want := fmt.Sprint(i)
					if answer, err := ns.Ask(within(t), "echo", []byte(want)); err != nil || string(answer.Body) != want {
						t.Errorf("Ask: %q, %v", answer.Body, err)
					}
				}
			})
		}
		all.Wait()
	})
}

// neffos on gobwas drops the connection instead of answering a close frame.
func TestStoaClientAgainstNeffosOnGobwas(t *testing.T) {
	server := neffos.New(gobwas.DefaultUpgrader, neffos.Namespaces{"default": neffos.Events{
		"echo": func(_ *neffos.NSConn, m neffos.Message) error { return neffos.Reply(m.Body) },
	}})
	gone := make(chan string, 10)
	server.OnDisconnect = func(c *neffos.Conn) { gone <- c.ID() }
	listening := httptest.NewServer(server)
	defer listening.Close()
	defer server.Close()
	conn, heard := dialOurs(t, listening.URL, nil)
	ns := connectOurs(t, conn, "default")
	heard.expect(t, "connected default")
	for i := range 100 {
		want := fmt.Sprint(i)
		if answer, err := ns.Ask(within(t), "echo", []byte(want)); err != nil || string(answer.Body) != want {
			t.Errorf("Ask: %q, %v", answer.Body, err)
		}
	}
	if err := conn.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	select {
	case id := <-gone:
		if id != conn.ID() {
			t.Errorf("the server lost %q, want %q", id, conn.ID())
		}
	case <-time.After(deadline):
		t.Error("the server does not notice")
	}
}
