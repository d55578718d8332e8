package node

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// feeder is a loop that nothing serves, which is fed one connection after the
// other, on the way that what a stream has read takes.
type feeder struct {
	loop    *loop
	session session.Config
}

func newFeeder(tb testing.TB) *feeder {
	tb.Helper()
	n, err := New(Config{
		ID: "n", Loops: 1, Transport: TransportStream,
		Limits: Limits{Header: 1 << 10, Names: wire.Limits{Message: 2 << 10}, InvalidPayloads: 20, Rooms: 5},
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := n.Close(); err != nil {
			tb.Errorf("Close: %v", err)
		}
	})
	// What is handed over to net/http is closed on the spot.
	if err := n.http.Close(); err != nil {
		tb.Fatal(err)
	}
	return &feeder{loop: n.loops[0], session: n.session}
}

// unreachable is a connection of package net that only serves to be closed.
type unreachable struct{ net.Conn }

func (unreachable) Close() error                { return nil }
func (unreachable) SetDeadline(time.Time) error { return nil }

// name is a namespace or room that nobody else is in.
type name string

func (n name) Name() string { return string(n) }

// recorder decides every request at once, so that what a peer is told does not
// depend on when the broker answers, and writes down what arrives.
type recorder struct {
	*conn
	seen *bytes.Buffer
}

func (r recorder) Request(request *session.Request) {
	fmt.Fprintf(r.seen, "%s %q\n", request.Kind, request.Message.Namespace)
	switch request.Kind {
	case session.Connect:
		r.conn.session.AcceptConnect(request, name(request.Message.Namespace))
	case session.Join:
		r.conn.session.AcceptJoin(request, name(request.Message.Room))
	case session.Disconnect:
		r.conn.session.AcceptDisconnect(request)
	case session.Leave:
		r.conn.session.AcceptLeave(request)
	}
}

// What is connected and joined here is none of the node's.
func (r recorder) Connected(session.Namespace, bool)            {}
func (r recorder) Joined(session.Namespace, session.Room, bool) {}

func (r recorder) Event(e *session.Event) {
	fmt.Fprintf(r.seen, "event %v %q\n", e.Message.Binary, e.Payload)
	r.conn.session.ReplyError(e.Message, "heard")
}

// outcome is everything that the peer, the program or an operator sees.
type outcome struct {
	answers string // HTTP answers and frames
	events  string
	state   connState
	code    wire.Code
	by      Initiator
	counted string
}

// feed gives a new connection the data in pieces of these sizes, over and over;
// without sizes all at once. An upgraded connection is past its HTTP handshake.
func (f *feeder) feed(tb testing.TB, upgraded bool, data, sizes []byte) (got outcome) {
	tb.Helper()
	l := f.loop
	l.stats = LoopStats{Closes: make(map[CloseKey]uint64)}
	c := l.newConn()
	c.setDeadline(l.times.handshake)
	c.stream = newStream(unreachable{}, l, c.place(), c.generation)
	var seen bytes.Buffer
	if upgraded {
		c.opened(nil)
		c.session.Init(&f.session, recorder{c, &seen})
	}
	for i := 0; len(data) > 0 && c.state != connGone; i++ {
		size := len(data)
		if len(sizes) > 0 {
			size = min(size, 1+int(sizes[i%len(sizes)]))
		}
		f.receive(tb, c, data[:size])
		data = data[size:]
	}
	got.state, got.code, got.by = c.state, c.closeCode, c.closeBy
	if c.out != nil {
		for _, e := range c.out.entries {
			got.answers += string(e.data)
		}
	}
	got.answers = strings.ReplaceAll(got.answers, connID("n", c.place(), c.secret), connID("n", 0, secret{}))
	got.events = seen.String()
	c.destroy(wire.CodeAbnormal, ByPeer)
	l.dirty, l.stats.BytesIn = l.dirty[:0], 0
	got.counted = fmt.Sprint(l.stats)
	return got
}

// receive is what a stream's reader and its loop do about bytes that came.
func (f *feeder) receive(tb testing.TB, c *conn, data []byte) {
	tb.Helper()
	s := c.stream
	s.reading, s.unread = false, data
	for !s.reading && c.state != connGone {
		if c.stopped() {
			tb.Fatal("the connection is not read any more")
		}
		c.onReadable(false)
		c.flags &^= flagReady
		f.loop.ready = f.loop.ready[:0]
	}
	select {
	case <-s.resume:
	default:
	}
}

// checkAnswers makes sure that frames of a server are good ones, and that a close
// frame is the last of them.
func checkAnswers(tb testing.TB, frames string) {
	tb.Helper()
	rest := strings.NewReader(frames)
	for rest.Len() > 0 {
		f, err := readFrame(rest)
		if err != nil {
			tb.Fatalf("the answers %q end within a frame: %v", frames, err)
		}
		if err := ws.CheckHeader(f.Header, ws.StateClientSide); err != nil {
			tb.Errorf("answer %+v: %v", f.Header, err)
		}
		if f.Header.OpCode == ws.OpText && !utf8.Valid(f.Payload) {
			tb.Errorf("answer %q is not valid UTF-8", f.Payload)
		}
		if f.Header.OpCode == ws.OpClose && rest.Len() > 0 {
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

// conversations are what the tests below cut into pieces; the fuzzer changes
// them first.
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

// What the conversations are expected to lead to, so that two wrong outcomes are
// not taken for a right one.
func TestConversations(t *testing.T) {
	f := newFeeder(t)
	for name, want := range map[string]struct {
		state connState
		code  wire.Code
	}{
		"all kinds of messages":        {connDiscarding, wire.CodeNormal},
		"fragments and control frames": {connOpen, 0},
		"messages of all header sizes": {connOpen, 0},
		"64-bit length":                {connOpen, 0},
		"too big":                      {connDiscarding, wire.CodeTooBig},
		"too big by fragments":         {connDiscarding, wire.CodeTooBig},
		"2^63 bytes":                   {connDiscarding, wire.CodeTooBig},
		"ping of 2^63 bytes":           {connDiscarding, wire.CodeProtocolError},
		"invalid UTF-8":                {connDiscarding, wire.CodeInvalidData},
		"unmasked":                     {connDiscarding, wire.CodeProtocolError},
		"bad close":                    {connDiscarding, wire.CodeProtocolError},
		"flood":                        {connDiscarding, wire.CodeInvalidFlood},
		"too much before hello":        {connClosing, wire.CodePolicy},
		"too many rooms":               {connOpen, 0},
		"handshake and messages":       {connOpen, 0},
		"refused version":              {connDiscarding, 0},
		"refused origin":               {connDiscarding, 0},
		"malformed request line":       {connDiscarding, 0},
		"not for the endpoint":         {connGone, 0},
		"head at the limit":            {connOpen, 0},
		"head over the limit":          {connDiscarding, 0},
		"endless head":                 {connDiscarding, 0},
	} {
		found := false
		for _, c := range conversations {
			if c.name == name {
				found = true
				if got := f.feed(t, c.upgraded, []byte(c.data), nil); got.state != want.state || got.code != want.code {
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
