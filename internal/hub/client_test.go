package hub

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/connid"
	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/internal/taskqueue"
	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/wire"
)

// TestClientSize holds the memory of an idle connection. There are hundreds of
// thousands of them; the next size class of Go's allocator is 224 bytes.
func TestClientSize(t *testing.T) {
	const limit, entryLimit = 208, 8
	if size := unsafe.Sizeof(Client{}); size > limit {
		t.Errorf("a Client has %d bytes, want at most %d", size, limit)
	} else {
		t.Logf("a Client has %d bytes", size)
	}
	table, found := reflect.TypeFor[engine.Loop]().FieldByName("conns")
	if !found {
		t.Fatal("a Loop has no field conns, the table of its connections")
	}
	if entry := table.Type.Elem(); entry.Kind() != reflect.Pointer || entry.Size() > entryLimit {
		t.Errorf("an entry of the loop's table is a %v of %d bytes, want a pointer of %d", entry, entry.Size(), entryLimit)
	}
}

// patience is how long a test waits for a condition that must become true.
const patience = 30 * time.Second

// handlingApp is an application without handlers, which makes a handle for
// every connection at its first chance.
type handlingApp struct{}

func (handlingApp) NewShard(*Shard) any                                     { return nil }
func (handlingApp) QueuedBytes(*Shard) int                                  { return 0 }
func (handlingApp) DropsSlow(*Namespace) bool                               { return false }
func (handlingApp) MayRead(*Client, *Namespace, string, Reading) bool       { return true }
func (handlingApp) ReadDenied(*Client, *Namespace, string, Reading) error   { return nil }
func (handlingApp) Presence(string) Presence                                { return PresenceOff }
func (handlingApp) History(string) *History                                 { return nil }
func (handlingApp) Namespace(string) any                                    { return nil }
func (a handlingApp) Accepted(c *Client, _ any)                             { a.Opened(c) }
func (handlingApp) Closed(*Client, wire.Code, engine.Initiator)             {}
func (handlingApp) Authorize(*Client, *session.Request) bool                { return false }
func (handlingApp) Admit(*Client, *session.Request) error                   { return nil }
func (handlingApp) RoomLimit(*Namespace) int                                { return 0 }
func (handlingApp) RoomFull(*Namespace)                                     {}
func (handlingApp) Connected(*Client, *Namespace)                           {}
func (handlingApp) Disconnected(*Client, *Namespace, bool)                  {}
func (handlingApp) Joined(*Client, *Namespace, string)                      {}
func (handlingApp) Left(*Client, *Namespace, string, bool)                  {}
func (handlingApp) Event(*Client, *Namespace, *session.Event) MessageResult { return MessageUnhandled }
func (handlingApp) Native(*Client, *session.Event) MessageResult            { return MessageUnhandled }

func (handlingApp) Opened(c *Client) {
	if c.Handle() == nil {
		c.SetHandle(new(Handle), nil)
	}
}

// acceptor accepts every upgrade request after a decision.
type acceptor struct{}

func (acceptor) Begin() bool { return true }
func (acceptor) Upgrade(*http.Request, *engine.Loop) engine.Decision {
	return engine.Decision{Value: "accepted"}
}
func (acceptor) NotOpened(*engine.Loop, any) {}
func (acceptor) Done()                       {}

// testShard is the shard of a hub with one loop.
type testShard struct {
	*Shard
	address string
}

// startShard runs a hub until the test ends. decides: an Upgrader decides about
// the connections.
func startShard(t testing.TB, decides bool, change func(*Config)) testShard {
	t.Helper()
	sessions := session.Config{Role: session.Server}.WithDefaults()
	cfg := Config{
		ID: "n", App: handlingApp{}, Broker: cluster.NewMemory(cluster.MemoryConfig{}),
		Engine: engine.Config{
			Loops: 1, Endpoint: "/ws",
			Limits:   engine.Limits{Header: 4 << 10},
			Timeouts: engine.Timeouts{Handshake: -1, Ping: -1, Pong: -1, Write: -1, Close: time.Second},
			Base:     context.Background(), Logger: slog.New(slog.DiscardHandler),
		},
		Session:     &sessions,
		JoinTimeout: patience, AskTimeout: patience,
		ErrClosed: errors.New("closed"), Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&cfg)
	}
	h := New(cfg)
	if decides {
		h.server.SetUpgrader(acceptor{})
	}
	address, err := h.server.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if err := errors.Join(cfg.Broker.Start(ctx, h.Handler()), h.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := errors.Join(h.server.Shutdown(ctx, ""), h.server.Wait(), h.Close(ctx), cfg.Broker.Close(ctx))
		if err != nil {
			t.Errorf("ending the hub: %v", err)
		}
	})
	return testShard{h.shards[0], address.String()}
}

// dial opens a WebSocket and does not say hello. The connection has slot 0.
func (s testShard) dial(t testing.TB) (*Client, net.Conn) {
	t.Helper()
	conn, _, _, err := ws.Dial(t.Context(), "ws://"+s.address+"/ws")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	var c *Client
	s.onLoop(func() { c = s.loop.Conn(0).Handler().(*Client) })
	return c, conn
}

// onLoop runs a function on the loop and waits for its end.
func (s testShard) onLoop(f func()) {
	done := make(chan struct{})
	s.Post(func() {
		defer close(done)
		f()
	})
	<-done
}

// eventually waits until a condition is true on the loop.
func (s testShard) eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for is := false; ; <-poll.C {
		if s.onLoop(func() { is = condition() }); is {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still waiting: %s", what)
		}
	}
}

// expectClose reads a close frame with this code.
func expectClose(t *testing.T, conn net.Conn, code wire.Code) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	frame, err := testkit.ReadFrame(conn)
	if err != nil || frame.Header.OpCode != ws.OpClose {
		t.Fatalf("got %+v, %v, want a close frame", frame.Header, err)
	}
	if got, reason := ws.ParseCloseFrameData(frame.Payload); got != ws.StatusCode(code) {
		t.Errorf("closed with %d %q, want %d", got, reason, code)
	}
}

// The slot that no connection has is the one beyond the engine's last.
func TestNoSlotIsBeyondTheTable(t *testing.T) {
	if got := connid.SlotOf(engine.MaxLoops-1, engine.MaxSlots); got != connid.NoSlot {
		t.Errorf("the slot beyond the last table is %#x, want %#x", got, connid.NoSlot)
	}
}

// text is a message for the client, the output of a handler.
type text struct{ client *Client }

// Run implements Task.
func (o text) Run(*Shard) { o.client.Send([]byte("output"), false) }

// speaker is a task that has output.
type speaker struct {
	taskqueue.Task
	client *Client
}

// Do implements taskqueue.Work.
func (w *speaker) Do(context.Context) error {
	w.client.handle.Submit(text{w.client})
	return nil
}

// speakerOwner owns the tasks of a handle.
type speakerOwner struct{ *Handle }

func (speakerOwner) Context(*taskqueue.Task) context.Context  { return context.Background() }
func (speakerOwner) Ended(*taskqueue.Task, taskqueue.Outcome) {}

// The last task has ended, and its output is still in the inbox when the loop
// comes to something that tells the client of it: the output comes first.
func TestOutputInTheInboxComesFirst(t *testing.T) {
	cases := []struct {
		name   string
		native bool
		then   func(c *Client)
		want   string
	}{
		{"request", false, func(c *Client) { c.Message([]byte("$7;chat;r;_OnRoomLeave;0;0;"), false) }, "$7;chat;r;_OnRoomLeave;1;0;bad namespace"},
		{"close", true, func(c *Client) { c.Fail(uint16(wire.CodeProtocolError), "violation") }, "\x03\xeaviolation"},
	}
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			s := startShard(t, false, func(cfg *Config) { cfg.Session.NativeOnly = test.native })
			c, conn := s.dial(t)
			if !test.native {
				if err := ws.WriteFrame(conn, ws.MaskFrame(ws.NewTextFrame([]byte("M")))); err != nil {
					t.Fatal(err)
				}
				if _, err := testkit.ReadFrame(conn); err != nil { // the acknowledgement
					t.Fatal(err)
				}
			}
			var running sync.WaitGroup
			s.onLoop(func() {
				if c.Handle() == nil {
					c.SetHandle(new(Handle), nil)
				}
				h := c.Handle()
				h.Queue().Init(speakerOwner{h}, taskqueue.NewPool(&running))
				w := &speaker{client: c}
				w.Work = w
				c.Queue(&w.Task)
				running.Wait()
				test.then(c)
			})
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			for _, want := range []string{"output", test.want} {
				got, err := testkit.ReadFrame(conn)
				if err != nil || string(got.Payload) != want {
					t.Fatalf("received %q, %v, want %q", got.Payload, err, want)
				}
			}
		})
	}
}
