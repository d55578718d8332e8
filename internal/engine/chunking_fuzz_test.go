package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/internal/hub"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// feeder is the loop of a hub that does not run. It is fed one connection after
// the other, with the steps that bytes take over blocking I/O.
type feeder struct {
	loop    *engine.Loop
	shard   *hub.Shard
	session session.Config
}

func newFeeder(tb testing.TB) *feeder {
	tb.Helper()
	f := &feeder{session: session.Config{
		Role: session.Server, Limits: wire.Limits{Message: 2 << 10}, MaxRooms: 5,
	}.WithDefaults()}
	h := hub.New(hub.Config{
		ID: "n", App: idleApp{}, Broker: cluster.NewMemory(cluster.MemoryConfig{}),
		Engine: engine.Config{
			Loops: 1, Blocking: true, Endpoint: "/ws",
			Limits: engine.Limits{Header: 1 << 10, Message: 2 << 10, SendQueue: 1 << 20, DrainPerSecond: 1000},
			Timeouts: engine.Timeouts{
				Handshake: 10 * time.Second, Ping: 25 * time.Second, Pong: 20 * time.Second,
				Write: 10 * time.Second, Close: 3 * time.Second,
			},
			Base: context.Background(), Logger: slog.New(slog.DiscardHandler),
		},
		Session:     &f.session,
		Limits:      hub.Limits{ReceiveQueue: 64 << 10, LoopQueue: 16 << 20, InvalidPayloads: 20, Asks: 64},
		JoinTimeout: 5 * time.Second, AskTimeout: 30 * time.Second,
		ErrClosed: errors.New("closed"), Logger: slog.New(slog.DiscardHandler),
	})
	server := h.Server()
	tb.Cleanup(func() {
		server.Abandon()
		if err := errors.Join(server.Wait(), h.Close(context.Background())); err != nil {
			tb.Errorf("closing the hub: %v", err)
		}
	})
	if err := server.CloseHTTP(); err != nil {
		tb.Fatal(err)
	}
	f.loop = server.Loops()[0]
	f.shard = f.loop.Shard().(*hub.Shard)
	return f
}

// idleApp is an application that declares no namespace and has no handlers. A
// call of any other method panics.
type idleApp struct{ hub.App }

func (idleApp) NewShard(*hub.Shard) any                         { return nil }
func (idleApp) QueuedBytes(*hub.Shard) int                      { return 0 }
func (idleApp) Namespace(string) any                            { return nil }
func (idleApp) Opened(*hub.Client)                              {}
func (idleApp) Closed(*hub.Client, wire.Code, engine.Initiator) {}
func (idleApp) Authorize(*hub.Client, *session.Request) bool    { return false }

// unreachable is a connection of package net that is neither read nor written.
type unreachable struct{ net.Conn }

func (unreachable) RemoteAddr() net.Addr { return &net.TCPAddr{} }

func (unreachable) Close() error                { return nil }
func (unreachable) SetDeadline(time.Time) error { return nil }

// name is a namespace or room without other members.
type name string

func (n name) Name() string { return string(n) }

// recorder decides every request at once, so that no answer to the peer depends
// on the broker's timing, and records the messages.
type recorder struct {
	*hub.Client
	seen *bytes.Buffer
}

func (r recorder) Request(request *session.Request) {
	fmt.Fprintf(r.seen, "%s %q\n", request.Kind, request.Message.Namespace)
	switch request.Kind {
	case session.Connect:
		r.Session().AcceptConnect(request, name(request.Message.Namespace))
	case session.Join:
		r.Session().AcceptJoin(request, name(request.Message.Room))
	case session.Disconnect:
		r.Session().AcceptDisconnect(request)
	case session.Leave:
		r.Session().AcceptLeave(request)
	}
}

// The hub does not know the namespaces and rooms of a recorder.
func (recorder) Connected(session.Namespace, bool)            {}
func (recorder) Joined(session.Namespace, session.Room, bool) {}

func (r recorder) Event(e *session.Event) {
	fmt.Fprintf(r.seen, "event %v %q\n", e.Message.Binary, e.Payload)
	r.Session().ReplyError(e.Message, "heard")
}

// outcome is everything that the peer, the application or an operator sees.
type outcome struct {
	answers string // HTTP answers and frames
	events  string
	state   engine.State
	code    uint16
	by      engine.Initiator
	counted string
}

// feed gives a new connection the data in pieces of these sizes, over and over;
// without sizes all at once. An upgraded connection is past its HTTP handshake.
func (f *feeder) feed(tb testing.TB, upgraded bool, data, sizes []byte) (got outcome) {
	tb.Helper()
	f.loop.Forget()
	before := f.shard.Stats()
	c := f.loop.AddIdle(unreachable{})
	client := c.Handler().(*hub.Client)
	var seen bytes.Buffer
	if upgraded {
		c.Open()
		client.Session().Init(&f.session, recorder{client, &seen})
	}
	for i := 0; len(data) > 0; i++ {
		size := len(data)
		if len(sizes) > 0 {
			size = min(size, 1+int(sizes[i%len(sizes)]))
		}
		if !c.Arrive(data[:size]) {
			tb.Fatal("the connection is not read any more")
		}
		data = data[size:]
	}
	got.state, got.code, got.by, got.answers = c.Outcome()
	id := client.ID()
	got.answers = strings.ReplaceAll(got.answers, id, strings.Repeat("0", len(id)))
	got.events = seen.String()
	c.Abort(uint16(wire.CodeAbnormal), engine.ByPeer)
	got.counted = counted(before, f.shard.Stats())
	return got
}

// counted describes the difference of two snapshots. Input after a close may
// stay unread, so the bytes are not compared.
func counted(before, after hub.Stats) string {
	for i := range after.MessagesIn {
		for j := range after.MessagesIn[i] {
			after.MessagesIn[i][j] -= before.MessagesIn[i][j]
		}
	}
	for limit, n := range before.LimitsExceeded {
		after.LimitsExceeded[limit] -= n
	}
	after.MessagesOut -= before.MessagesOut
	after.Deliveries -= before.Deliveries
	for key, n := range before.Closes {
		if after.Closes[key] -= n; after.Closes[key] == 0 {
			delete(after.Closes, key)
		}
	}
	after.Engine.BytesIn = 0
	return fmt.Sprint(after)
}

// checkAnswers makes sure that a server may send these frames, and that a close
// frame is the last of them.
func checkAnswers(tb testing.TB, frames string) {
	tb.Helper()
	rest := strings.NewReader(frames)
	for rest.Len() > 0 {
		header, err := ws.ReadHeader(rest)
		if err != nil || header.Length > int64(rest.Len()) {
			tb.Fatalf("the answers %q end within a frame: %v", frames, err)
		}
		payload := make([]byte, header.Length)
		_, _ = io.ReadFull(rest, payload)
		if err := ws.CheckHeader(header, ws.StateClientSide); err != nil {
			tb.Errorf("answer %+v: %v", header, err)
		}
		if header.OpCode == ws.OpText && !utf8.Valid(payload) {
			tb.Errorf("answer %q is not valid UTF-8", payload)
		}
		if header.OpCode == ws.OpClose && rest.Len() > 0 {
			tb.Errorf("%d bytes follow the close frame", rest.Len())
		}
	}
}

// maskedFrame is a masked frame.
func maskedFrame(op ws.OpCode, fin bool, payload string) string {
	var buffer bytes.Buffer
	_ = ws.WriteFrame(&buffer, ws.MaskFrameInPlaceWith(ws.NewFrame(op, fin, []byte(payload)), [4]byte{7, 0, 0xff, 0x80}))
	return buffer.String()
}

func maskedTexts(payloads ...string) string {
	var all strings.Builder
	for _, payload := range payloads {
		all.WriteString(maskedFrame(ws.OpText, true, payload))
	}
	return all.String()
}

const requestHead = "GET /ws HTTP/1.1\r\nHost: stoa.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// conversations are the bytes that the tests cut into pieces, and the seeds of
// the fuzz target.
var conversations = []struct {
	name     string
	upgraded bool
	data     string
}{
	{"all kinds of messages", true, maskedTexts("$early;a;;x;0;0;", "M", "$1;a;;_OnNamespaceConnect;0;0;",
		"$2;a;r;_OnRoomJoin;0;0;", ";a;r;chat;0;0;ϟ;body", "$3;a;r;ask;0;0;", "nonsense", "$4;b;;ask;0;0;", "",
		"$5;a;r;_OnRoomLeave;0;0;", "$6;a;;_OnNamespaceDisconnect;0;0;") +
		maskedFrame(ws.OpBinary, true, "$7;a;;\xff;0;0;") + maskedFrame(ws.OpClose, true, "\x03\xe8bye")},
	{"fragments and control frames", true, maskedTexts("M", "$1;a;;_OnNamespaceConnect;0;0;") +
		maskedFrame(ws.OpPing, true, "ping") + maskedFrame(ws.OpText, false, "$2;a;;\xcf") + maskedFrame(ws.OpPing, true, "") +
		maskedFrame(ws.OpContinuation, false, "") + maskedFrame(ws.OpPong, true, "x") +
		maskedFrame(ws.OpContinuation, true, "\x9f;0;0;body") + maskedFrame(ws.OpBinary, true, ";a;;e;0;0;\x00\xff")},
	{"messages of all header sizes", true, maskedTexts("M", "$1;a;;_OnNamespaceConnect;0;0;",
		";a;;e;0;0;"+strings.Repeat("x", 115), ";a;;e;0;0;"+strings.Repeat("x", 116), ";a;;e;0;0;"+strings.Repeat("x", 2038))},
	{"64-bit length", true, maskedTexts("M") + "\x81\xff\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00x" + maskedTexts("$1;a;;e;0;0;")},
	{"too big", true, maskedTexts("M", strings.Repeat("x", 2049), "$1;a;;e;0;0;")},
	{"too big by fragments", true, maskedTexts("M") + maskedFrame(ws.OpText, false, strings.Repeat("x", 2000)) +
		maskedFrame(ws.OpContinuation, true, strings.Repeat("y", 49)) + maskedTexts("$1;a;;e;0;0;")},
	{"2^63 bytes", true, maskedTexts("M") + "\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
	{"ping of 2^63 bytes", true, maskedTexts("M") + "\x89\xff\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
	{"invalid UTF-8", true, maskedTexts("M", "$1;a;;\xff;0;0;", "$2;a;;e;0;0;")},
	{"unmasked", true, maskedTexts("M") + "\x81\x01x" + maskedTexts("$1;a;;e;0;0;")},
	{"bad close", true, maskedTexts("M") + maskedFrame(ws.OpClose, true, "\x03") + maskedTexts("$1;a;;e;0;0;")},
	{"flood", true, maskedTexts("M") + strings.Repeat(maskedTexts("x"), 25) + maskedFrame(ws.OpClose, true, "")},
	{"too much before hello", true, strings.Repeat(maskedTexts(strings.Repeat("x", 2000)), 10)},
	{"too many rooms", true, maskedTexts("M", "$1;a;;_OnNamespaceConnect;0;0;", "$1;a;1;_OnRoomJoin;0;0;", "$2;a;2;_OnRoomJoin;0;0;",
		"$3;a;3;_OnRoomJoin;0;0;", "$4;a;4;_OnRoomJoin;0;0;", "$5;a;5;_OnRoomJoin;0;0;", "$6;a;6;_OnRoomJoin;0;0;")},

	{"handshake and messages", false, requestHead + maskedTexts("M", "$1;a;;_OnNamespaceConnect;0;0;") + maskedFrame(ws.OpPing, true, "p")},
	{"refused version", false, strings.Replace(requestHead, "13", "8", 1) + maskedTexts("M")},
	{"refused origin", false, strings.Replace(requestHead, "\r\n\r\n", "\r\nOrigin: https://evil.test\r\n\r\n", 1) + maskedTexts("M")},
	{"malformed request line", false, strings.Replace(requestHead, "HTTP/1.1", "HTTP/1.x", 1) + maskedTexts("M")},
	{"not for the endpoint", false, "GET / HTTP/1.1\r\nHost: stoa.test\r\n\r\n"},
	{"head at the limit", false, strings.Replace(requestHead, "\r\n\r\n", "\r\nX: "+strings.Repeat("x", 1024-len(requestHead)-1)+"\r\n\r\n", 1) + maskedTexts("M")},
	{"head over the limit", false, strings.Replace(requestHead, "\r\n\r\n", "\r\nX: "+strings.Repeat("x", 1024-len(requestHead))+"\r\n\r\n", 1) + maskedTexts("M")},
	{"endless head", false, "GET /ws HTTP/1.1\r\nX: " + strings.Repeat("x", 2000)},
}

// expectSameOutcome feeds the data at once and in pieces.
func (f *feeder) expectSameOutcome(tb testing.TB, upgraded bool, data, sizes []byte) {
	tb.Helper()
	want := f.feed(tb, upgraded, data, nil)
	got := f.feed(tb, upgraded, data, sizes)
	if got != want {
		tb.Errorf("in pieces of %v bytes less one:\n%+v\nat once:\n%+v\ndata: %q", sizes, got, want, data)
	}
	if upgraded {
		checkAnswers(tb, want.answers)
	}
}

func TestChunking(t *testing.T) {
	f := newFeeder(t)
	for _, c := range conversations {
		t.Run(c.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			for size := range 40 {
				f.expectSameOutcome(t, c.upgraded, []byte(c.data), []byte{byte(size)})
			}
			for range 200 {
				sizes := make([]byte, 1+random.IntN(20))
				for i := range sizes {
					sizes[i] = byte(random.ExpFloat64() * 10)
				}
				f.expectSameOutcome(t, c.upgraded, []byte(c.data), sizes)
			}
		})
	}
}

// TestConversations compares the outcomes with the expected ones: TestChunking
// accepts two equal wrong outcomes.
func TestConversations(t *testing.T) {
	f := newFeeder(t)
	for name, want := range map[string]struct {
		state engine.State
		code  wire.Code
	}{
		"all kinds of messages":        {engine.StateDiscarding, wire.CodeNormal},
		"fragments and control frames": {engine.StateOpen, 0},
		"messages of all header sizes": {engine.StateOpen, 0},
		"64-bit length":                {engine.StateOpen, 0},
		"too big":                      {engine.StateDiscarding, wire.CodeTooBig},
		"too big by fragments":         {engine.StateDiscarding, wire.CodeTooBig},
		"2^63 bytes":                   {engine.StateDiscarding, wire.CodeTooBig},
		"ping of 2^63 bytes":           {engine.StateDiscarding, wire.CodeProtocolError},
		"invalid UTF-8":                {engine.StateDiscarding, wire.CodeInvalidData},
		"unmasked":                     {engine.StateDiscarding, wire.CodeProtocolError},
		"bad close":                    {engine.StateDiscarding, wire.CodeProtocolError},
		"flood":                        {engine.StateDiscarding, wire.CodeInvalidFlood},
		"too much before hello":        {engine.StateClosing, wire.CodePolicy},
		"too many rooms":               {engine.StateOpen, 0},
		"handshake and messages":       {engine.StateOpen, 0},
		"refused version":              {engine.StateDiscarding, 0},
		"refused origin":               {engine.StateDiscarding, 0},
		"malformed request line":       {engine.StateDiscarding, 0},
		"not for the endpoint":         {engine.StateGone, 0},
		"head at the limit":            {engine.StateOpen, 0},
		"head over the limit":          {engine.StateDiscarding, 0},
		"endless head":                 {engine.StateDiscarding, 0},
	} {
		found := false
		for _, c := range conversations {
			if c.name == name {
				found = true
				if got := f.feed(t, c.upgraded, []byte(c.data), nil); got.state != want.state || got.code != uint16(want.code) {
					t.Errorf("%s: state %d, code %d, want %d and %d", name, got.state, got.code, want.state, want.code)
				}
			}
		}
		if !found {
			t.Errorf("there is no conversation %q", name)
		}
	}
}

// FuzzChunking: any way to cut the same bytes leads to the same outcome.
func FuzzChunking(f *testing.F) {
	for _, c := range conversations {
		f.Add(c.upgraded, []byte(c.data), []byte{0})
		f.Add(c.upgraded, []byte(c.data), []byte{2, 40, 7})
	}
	feeding := newFeeder(f)
	f.Fuzz(func(t *testing.T, upgraded bool, data, sizes []byte) {
		feeding.expectSameOutcome(t, upgraded, data, sizes)
	})
}
