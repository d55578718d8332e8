package node_test

import (
	"context"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// Answers of native handlers arrive before the close frame of the connection.
func TestNativeAnswersComeBeforeTheEnd(t *testing.T) {
	ends := []struct {
		name, bytes string
		code        wire.Code
	}{
		{"close frame", frame(ws.OpClose, true, "\x03\xe8bye"), wire.CodeNormal},
		{"violation", frame(ws.OpContinuation, true, "x"), wire.CodeProtocolError},
		{"invalid UTF-8", frame(ws.OpText, true, "\xff"), wire.CodeInvalidData},
	}
	for _, end := range ends {
		t.Run(end.name, func(t *testing.T) {
			release, closed := make(chan struct{}), make(chan closing, 1)
			n := startHandling(t, func(cfg *node.Config) { cfg.NativeOnly = true; cfg.Timeouts.Close = time.Minute }, func(n *node.Node) {
				n.OnNative(func(_ context.Context, e *node.NativeEvent) error {
					if string(e.Payload) == "first" {
						<-release
					}
					return e.Conn.WriteNative(e.Payload, e.Binary)
				})
				n.OnClosed(func(_ context.Context, e *node.ClosedEvent) { closed <- closing{e.Code, e.By} })
			})
			p := upgrade(t, n)
			p.write(frame(ws.OpText, true, "first") + frame(ws.OpText, true, "") + frame(ws.OpText, true, "last") + end.bytes)
			p.send("behind the end")
			close(release)
			p.expect("first", "", "last")
			p.expectClose(ws.StatusCode(end.code))
			_ = p.conn.Close()
			if how := <-closed; how.code != end.code {
				t.Errorf("closed with %v, want code %v", how, end.code)
			}
		})
	}
}

// A handler that does not return delays the close for Timeouts.Close only.
func TestNativeHandlersDoNotBlockTheCloseForever(t *testing.T) {
	release := make(chan struct{})
	n := startHandling(t, func(cfg *node.Config) { cfg.NativeOnly = true; cfg.Timeouts.Close = 50 * time.Millisecond }, func(n *node.Node) {
		n.OnNative(func(context.Context, *node.NativeEvent) error {
			<-release
			return nil
		})
	})
	defer close(release)
	p := upgrade(t, n)
	p.write(frame(ws.OpText, true, "stuck") + frame(ws.OpClose, true, "\x03\xe8"))
	p.expectClose(1000)
}

// A close by the server does not wait for the handlers, even if the peer's
// close already does.
func TestServerCloseWaitsForNoHandler(t *testing.T) {
	release, conns := make(chan struct{}), make(chan *node.Conn, 1)
	n := startHandling(t, func(cfg *node.Config) { cfg.NativeOnly = true; cfg.Timeouts.Close = time.Minute }, func(n *node.Node) {
		n.OnNative(func(_ context.Context, e *node.NativeEvent) error {
			conns <- e.Conn
			<-release
			return nil
		})
	})
	defer close(release)
	p := upgrade(t, n)
	p.write(frame(ws.OpText, true, "stuck") + frame(ws.OpClose, true, "\x03\xe8"))
	(<-conns).Close(wire.CodePolicy, "enough")
	f := p.next()
	if code, _ := ws.ParseCloseFrameData(f.Payload); f.Header.OpCode != ws.OpClose || code != 1000 && code != 1008 {
		t.Errorf("received %s, want a close frame", describe(f))
	}
}
