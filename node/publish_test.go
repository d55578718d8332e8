package node_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// publishes declares the namespaces of these tests: "kept" confirms emits, "as"
// those of clients with the permission, "unkept" and "unrelayed" do not.
func publishes(c *node.Config) {
	history := node.HistoryOptions{Messages: 100}
	c.Namespaces["kept"] = node.NamespaceOptions{Relay: node.RelayRooms, History: history, MaxMessage: 64}
	c.Namespaces["as"] = node.NamespaceOptions{
		Relay: node.RelayRooms, History: history, Access: node.Access{Emit: node.WhoPermitted, Ask: node.WhoNobody},
	}
	c.Namespaces["unkept"] = node.NamespaceOptions{Relay: node.RelayRooms | node.RelayAsks}
	c.Namespaces["unrelayed"] = node.NamespaceOptions{Relay: node.RelayAsks, History: history}
}

// publish sends a confirmed emit, and returns the body of the answer and
// whether it is an error.
func (p *peer) publish(namespace, room, body string) (answer string, isError bool) {
	p.tb.Helper()
	p.send("$p;" + namespace + ";" + room + ";_OnRoomPublish;0;0;" + body)
	m, err := wire.Parse(p.next().Payload, false)
	if err != nil || string(m.Token) != "$p" || string(m.Namespace) != namespace || string(m.Room) != room || string(m.Event) != "_OnRoomPublish" {
		p.tb.Fatalf("a confirmed emit was answered %+v, %v", m, err)
	}
	return string(m.Body), m.Error
}

// publishOK is publish for an emit that is confirmed.
func (p *peer) publishOK(namespace, room, body string) (position string) {
	p.tb.Helper()
	position, isError := p.publish(namespace, room, body)
	if isError || position == "" || !wire.IsPosition(position) {
		p.tb.Fatalf("the emit %q was answered %q, error %t, want a position", body, position, isError)
	}
	return position
}

func (p *peer) publishError(namespace, room, body, want string) {
	p.tb.Helper()
	if answer, isError := p.publish(namespace, room, body); !isError || answer != want {
		p.tb.Errorf("the emit %.40q was answered %q, error %t, want %q", body, answer, isError, want)
	}
}

// A confirmed emit reaches the other members as any emit, once, however often
// it is sent, and its answer is its position in the history.
func TestConfirmedEmit(t *testing.T) {
	n := startNode(t, publishes)
	p, other := join(t, n, "kept", "r"), join(t, n, "kept", "r")
	again := join(t, n, "kept", "r", "s")
	first := p.publishOK("kept", "r", "id-1,say@%!semicolon@%!,so;Hello;there")
	if second := p.publishOK("kept", "r", "id-1,say@%!semicolon@%!,so;Hello;there"); second != first {
		t.Errorf("a second copy was answered %q, want %q", second, first)
	}
	said := ";kept;r;say@%!semicolon@%!,so;0;0;Hello;there"
	other.expect(said)
	again.expect(said)
	// The connection is another one after a reconnect.
	if third := again.publishOK("kept", "r", "id-1,say@%!semicolon@%!,so;Hello;there"); third != first {
		t.Errorf("a copy of another connection was answered %q, want %q", third, first)
	}
	p.publishError("kept", "r", "id-1,say;Hello", "id reused")
	again.publishOK("kept", "s", "id-1,say;elsewhere") // an ID belongs to its room
	p.sendBinary("$p;kept;r;_OnRoomPublish;0;0;id-2,raw;\xff\x00")
	if answer := p.next(); string(answer.Payload[:len("$p;kept;r;_OnRoomPublish;0;0;")]) != "$p;kept;r;_OnRoomPublish;0;0;" {
		t.Errorf("an emit in a binary frame was answered %s", describe(answer))
	}
	if f := other.next(); string(f.Payload) != ";kept;r;raw;0;0;\xff\x00" {
		t.Errorf("got %s, want the emit in a binary frame", describe(f))
	}
	p.send(";kept;r;say;0;0;end")
	other.expect(";kept;r;say;0;0;end")

	page, err := n.History(context.Background(), "kept", "r", node.HistoryQuery{})
	if err != nil || len(page.Entries) != 3 || string(page.Entries[0].Position) != first {
		t.Errorf("the history is %+v, %v, want 3 messages, and the first at %s", page, err, first)
	}
	s := n.Stats()
	if s.History.Confirmed != 5 || s.History.Unconfirmed != 1 {
		t.Errorf("%d emits are confirmed and %d not, want 5 and 1", s.History.Confirmed, s.History.Unconfirmed)
	}
	if relayed := s.MessagesIn[0][node.MessageRelayed]; relayed != 6 {
		t.Errorf("%d texts were relayed, want 6", relayed)
	}
}

// The ID of a user is none of another user, of a connection without one, or of
// the application.
func TestConfirmedEmitsOfUsers(t *testing.T) {
	n := startUserNode(t, "n0", nil, publishes)
	positions := make(map[string]string)
	for _, user := range []string{"", "a", "ab", "1:a"} {
		p := joinUser(t, n, user, "kept")
		p.ask("$j", "kept", "r", "_OnRoomJoin", "$j;;;;;;")
		for _, id := range []string{"b", "bc", "a"} {
			positions[user+" "+id] = p.publishOK("kept", "r", id+",say;x")
		}
		if again := p.publishOK("kept", "r", "b,say;x"); again != positions[user+" b"] {
			t.Errorf("a copy of user %q was answered %q, want %q", user, again, positions[user+" b"])
		}
	}
	position, err := n.Publish(context.Background(), node.Message{Namespace: "kept", Room: "r", Event: "say", Body: []byte("x")}, node.PublishOptions{ID: "b"})
	if err != nil {
		t.Fatal(err)
	}
	positions["application"] = string(position)
	seen := make(map[string]string)
	for by, position := range positions {
		if other, taken := seen[position]; taken {
			t.Errorf("%q and %q have the same position", by, other)
		}
		seen[position] = by
	}
	page, err := n.History(context.Background(), "kept", "r", node.HistoryQuery{})
	if err != nil || len(page.Entries) != 13 || page.Entries[3].User != "a" {
		t.Errorf("the history is %+v, %v, want 13 messages with their users", page, err)
	}
}

func TestConfirmedEmitErrors(t *testing.T) {
	n := startHandling(t, publishes, func(n *node.Node) {
		acceptIdentities(n)
		n.LookupNamespace("kept").OnEmit("handled", func(context.Context, *node.EmitEvent) error { return nil })
	})
	p := join(t, n, "kept", "r")
	for body, want := range map[string]string{
		"":                                    "invalid payload",
		"say;x":                               "invalid payload",
		",say;x":                              "invalid payload",
		"i,_OnRoomJoin;x":                     "invalid payload",
		"i,_OnRoomPublish;x":                  "invalid payload",
		"ä,say;x":                             "invalid payload",
		"i," + strings.Repeat("e", 129) + ";": "name too long",
		"i,handled;x":                         "unhandled event",
		// ;kept;r;say;0;0; are 16 bytes.
		"i,say;" + strings.Repeat("x", 64-15): "message too big",
	} {
		p.publishError("kept", "r", body, want)
	}
	p.publishOK("kept", "r", strings.Repeat("i", 64)+",say;"+strings.Repeat("x", 64-16))
	p.publishError("kept", "elsewhere", "i,say;x", "bad room")
	p.publishError("elsewhere", "r", "i,say;x", "bad namespace")
	p.publishError("unkept", "r", "i,say;x", "bad namespace")
	join(t, n, "unkept", "r").publishError("unkept", "r", "i,say;x", "unhandled event")
	join(t, n, "unrelayed", "r").publishError("unrelayed", "r", "i,say;x", "unhandled event")

	joinAs(t, n, "permitted", "as", "r").publishOK("as", "r", "i,say;x")
	joinAs(t, n, "user", "as", "r").publishError("as", "r", "i,say;x", `forbidden: needs emit in room "r" of namespace "as"`)
	if denied := n.Stats().Denied[node.DeniedKey{Namespace: "as", Rule: node.RuleEmit}]; denied != 1 {
		t.Errorf("%d refused emits are counted, want 1", denied)
	}
	// Without a token it is none.
	p.send(";kept;r;_OnRoomPublish;0;0;i,say;x")
	p.send("$n;kept;r;_OnRoomPublish;0;1;i,say;x")
	p.sync("kept")
}

// The handler of OnRelay sees a confirmed emit, and may change or refuse it;
// later messages do not overtake it.
func TestRelayedConfirmedEmit(t *testing.T) {
	release := make(chan struct{})
	n := startHandling(t, publishes, func(n *node.Node) {
		ns := n.LookupNamespace("kept")
		ns.OnRelay("rude", func(_ context.Context, r *node.RelayRequest) error {
			return fmt.Errorf("no, ask %t", r.IsAsk)
		})
		ns.OnRelay("slow", func(_ context.Context, r *node.RelayRequest) error {
			<-release
			r.Body = append(r.Body, '!')
			return nil
		})
	})
	p, other := join(t, n, "kept", "r"), join(t, n, "kept", "r")
	p.publishError("kept", "r", "i,rude;x", "no, ask false")
	p.send("$1;kept;r;_OnRoomPublish;0;0;1,slow;a")
	p.send("$2;kept;r;_OnRoomPublish;0;0;2,say;b")
	p.send(";kept;r;say;0;0;c")
	close(release)
	other.expect(";kept;r;slow;0;0;a!", ";kept;r;say;0;0;b", ";kept;r;say;0;0;c")
	for range 2 {
		if m, err := wire.Parse(p.next().Payload, false); err != nil || m.Error {
			t.Errorf("an emit was answered %+v, %v, want a position", m, err)
		}
	}
}

// onceBroker is a memory broker whose calls of PublishOnce go through a
// function.
type onceBroker struct {
	*cluster.Memory
	mu      sync.Mutex
	publish func(pass func(), done func(cluster.Position, error)) // guarded by mu; nil: pass
}

func newOnceBroker() *onceBroker {
	return &onceBroker{Memory: cluster.NewMemory(cluster.MemoryConfig{})}
}

func (b *onceBroker) set(publish func(pass func(), done func(cluster.Position, error))) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.publish = publish
}

func (b *onceBroker) PublishOnce(channel string, env *cluster.Envelope, once cluster.Once, done func(cluster.Position, error)) {
	b.mu.Lock()
	publish := b.publish
	b.mu.Unlock()
	pass := func() { b.Memory.PublishOnce(channel, env, once, done) }
	if publish == nil {
		pass()
		return
	}
	publish(pass, done)
}

// An error of the broker leaves it open whether the emit was published, and a
// second copy finds out. A client has a bounded number of unanswered emits, and
// one that has closed is not answered.
func TestConfirmedEmitFailures(t *testing.T) {
	broker := newOnceBroker()
	n := startNode(t, func(c *node.Config) { publishes(c); c.Broker = broker })
	p, other := join(t, n, "kept", "r"), join(t, n, "kept", "r")
	for _, published := range []bool{false, true} {
		for cause, want := range map[error]string{
			cluster.ErrQueueFull: "unavailable", cluster.ErrExpired: "unavailable", cluster.ErrTooLarge: "message too big",
		} {
			broker.set(func(_ func(), done func(cluster.Position, error)) { done(cluster.Position{}, cause) })
			body := fmt.Sprintf("%v %s,say;x", published, strings.ReplaceAll(cause.Error(), " ", "-"))
			p.publishError("kept", "r", body, want)
			broker.set(nil)
			p.publishOK("kept", "r", body)
			other.expect(";kept;r;say;0;0;x")
		}
	}
	waiting := make(chan func(cluster.Position, error), 100)
	broker.set(func(_ func(), done func(cluster.Position, error)) { waiting <- done })
	const most = 64
	for i := range most + 1 {
		p.send(fmt.Sprintf("$%d;kept;r;_OnRoomPublish;0;0;%d,say;x", i, i))
	}
	p.expect(fmt.Sprintf("$%d;kept;r;_OnRoomPublish;1;0;unavailable", most))
	(<-waiting)(cluster.Position{Incarnation: 1, Number: 1}, nil)
	p.expect("$0;kept;r;_OnRoomPublish;0;0;" + cluster.Position{Incarnation: 1, Number: 1}.String())
	p.send("$x;kept;r;_OnRoomPublish;0;0;x,say;x")
	last := make([]func(cluster.Position, error), most)
	for i := range last {
		last[i] = <-waiting
	}
	_ = p.conn.Close()
	eventually(t, "the connection has closed", func() bool { return n.Stats().Connections == 1 })
	for _, done := range last {
		done(cluster.Position{}, cluster.ErrClosed)
	}
	other.sync("kept")
}

// The application publishes once, too.
func TestPublish(t *testing.T) {
	broker := newOnceBroker()
	n, ctx := startNode(t, func(c *node.Config) { publishes(c); c.Broker = broker }), context.Background()
	p, except := join(t, n, "kept", "r"), join(t, n, "kept", "r")
	m := node.Message{Namespace: "kept", Room: "r", Event: "say", Body: []byte("one")}
	o := node.PublishOptions{ID: "order 1", EmitOptions: node.EmitOptions{Except: []string{except.id}}}
	first, err := n.Publish(ctx, m, o)
	if err != nil || first == "" {
		t.Fatalf("Publish = %q, %v, want a position", first, err)
	}
	if again, err := n.Publish(ctx, m, o); again != first || err != nil {
		t.Errorf("a second copy = %q, %v, want %q", again, err, first)
	}
	other := m
	other.Body = []byte("other")
	if _, err := n.Publish(ctx, other, o); !errors.Is(err, cluster.ErrIDReused) {
		t.Errorf("another message with the ID: %v, want ErrIDReused", err)
	}
	anonymous := make(map[node.Position]bool)
	for range 2 {
		position, err := n.Publish(ctx, other, node.PublishOptions{})
		if err != nil {
			t.Fatal(err)
		}
		anonymous[position] = true
	}
	if len(anonymous) != 2 {
		t.Error("two messages without an ID have one position")
	}
	p.expect(";kept;r;say;0;0;one", ";kept;r;say;0;0;other", ";kept;r;say;0;0;other")
	except.expect(";kept;r;say;0;0;other", ";kept;r;say;0;0;other")

	system := m
	system.Event = "_OnRoomJoin"
	for _, c := range []struct {
		m    node.Message
		id   string
		want error
	}{
		{node.Message{Namespace: "unkept", Room: "r"}, "", node.ErrNoHistory},
		{node.Message{Namespace: "none", Room: "r"}, "", node.ErrNoHistory},
		{system, "", wire.ErrInvalidName},
		{m, strings.Repeat("x", node.MaxPublishID+1), node.ErrPublishID},
	} {
		if _, err := n.Publish(ctx, c.m, node.PublishOptions{ID: c.id}); !errors.Is(err, c.want) {
			t.Errorf("Publish(%+v, %.10q) = %v, want %v", c.m, c.id, err, c.want)
		}
	}
	canceled, cancel := context.WithCancel(ctx)
	broker.set(func(func(), func(cluster.Position, error)) { cancel() }) // no answer
	if _, err := n.Publish(canceled, m, o); !errors.Is(err, context.Canceled) {
		t.Errorf("Publish without an answer = %v, want that of the context", err)
	}
}

// unfit is a broker that keeps history, and publishes nothing once.
type unfit struct {
	cluster.Broker
	cluster.Historian
}

func TestPublishWithoutSupport(t *testing.T) {
	n := startNode(t, func(c *node.Config) {
		publishes(c)
		broker := cluster.NewMemory(cluster.MemoryConfig{})
		c.Broker = unfit{broker, broker}
	})
	join(t, n, "kept", "r").publishError("kept", "r", "i,say;x", "unhandled event")
	if _, err := n.Publish(context.Background(), node.Message{Namespace: "kept", Room: "r", Event: "e"}, node.PublishOptions{}); !errors.Is(err, node.ErrNoHistory) {
		t.Errorf("Publish = %v, want ErrNoHistory", err)
	}
}

func TestDuplicateWindow(t *testing.T) {
	for window, valid := range map[time.Duration]bool{
		0: true, time.Second: true, node.MaxDuplicateWindow: true,
		time.Millisecond: false, -1: false, node.MaxDuplicateWindow + 1: false,
	} {
		n, err := node.New(node.Config{Namespaces: map[string]node.NamespaceOptions{
			"kept": {History: node.HistoryOptions{Messages: 1, DuplicateWindow: window}},
		}})
		if (err == nil) != valid {
			t.Errorf("a window of %v: %v, want valid: %t", window, err, valid)
		}
		if err == nil {
			_ = n.Close()
		}
	}
	var got time.Duration
	for _, want := range []time.Duration{0, 5 * time.Second} {
		n := startNode(t, func(c *node.Config) {
			c.Namespaces["kept"] = node.NamespaceOptions{History: node.HistoryOptions{Messages: 1, DuplicateWindow: want}}
			c.Broker = windowBroker{cluster.NewMemory(cluster.MemoryConfig{}), &got}
		})
		if _, err := n.Publish(context.Background(), node.Message{Namespace: "kept", Room: "r", Event: "e"}, node.PublishOptions{}); err != nil {
			t.Fatal(err)
		}
		if want == 0 {
			want = 2 * time.Minute
		}
		if got != want {
			t.Errorf("the broker got the window %v, want %v", got, want)
		}
	}
}

// windowBroker notes the last window.
type windowBroker struct {
	*cluster.Memory
	window *time.Duration
}

func (b windowBroker) PublishOnce(channel string, env *cluster.Envelope, once cluster.Once, done func(cluster.Position, error)) {
	*b.window = once.Window
	b.Memory.PublishOnce(channel, env, once, done)
}
