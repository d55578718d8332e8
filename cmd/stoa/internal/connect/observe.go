package connect

import (
	"context"
	"errors"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/cmd/stoa/internal/dial"
	"github.com/stoa-io/stoa/wire"
)

// observe adds the handlers that show events. Package client calls them one at
// a time, so records are in order.
func (c *conversation) observe(o *client.Options) {
	o.DefaultHandlers = &client.Handlers{
		OnConnected:    c.onConnected,
		OnDisconnected: c.onDisconnected,
		OnJoined:       c.onJoined,
		OnLeft:         c.onLeft,
		OnAnyEmit: func(_ context.Context, _ *client.NSConn, m *client.Message) error {
			c.showMessage(recordMessage, m, "")
			return nil
		},
		OnAnyAsk: func(_ context.Context, _ *client.NSConn, m *client.Message) ([]byte, error) {
			c.showMessage(recordAsk, m, wire.ErrUnhandled.Error())
			return nil, wire.ErrUnhandled
		},
	}
	o.OnNative = func(_ context.Context, _ *client.Conn, payload []byte, binary bool) error {
		c.printer.show(record{Type: recordNative, body: payload, Binary: binary})
		return nil
	}
	o.OnState = c.onState
}

func (c *conversation) showMessage(kind recordType, m *client.Message, answered string) {
	c.words.addEvent(m.Event)
	c.printer.show(record{
		Type: kind, Namespace: m.Namespace, Room: m.Room, Event: m.Event, body: m.Body, Binary: m.Binary, Error: answered,
	})
}

func (c *conversation) onConnected(_ context.Context, ns *client.NSConn) {
	c.words.addNamespace(ns.Namespace())
	c.printer.show(record{Type: recordConnected, Namespace: ns.Namespace()})
	c.setDisplayed(ns, true)
}

func (c *conversation) onDisconnected(_ context.Context, ns *client.NSConn, forced bool, err error) {
	c.printer.show(record{Type: recordDisconnected, Namespace: ns.Namespace(), Forced: forced, Error: causeText(err)})
	c.setDisplayed(ns, false)
}

func (c *conversation) onJoined(_ context.Context, r *client.Room) {
	namespace := r.NSConn().Namespace()
	c.words.addRoom(namespace, r.Name())
	c.printer.show(record{Type: recordJoined, Namespace: namespace, Room: r.Name()})
	c.setDisplayed(r, true)
}

func (c *conversation) onLeft(_ context.Context, r *client.Room, forced bool, err error) {
	c.printer.show(record{
		Type: recordLeft, Namespace: r.NSConn().Namespace(), Room: r.Name(), Forced: forced, Error: causeText(err),
	})
	c.setDisplayed(r, false)
}

func (c *conversation) onState(t client.Transition) {
	r := record{
		Type: recordState, State: t.To.String(), ID: t.ID, Attempt: t.Attempt,
		Code: uint16(t.Code), Reason: t.Reason, Error: causeText(t.Err),
	}
	if t.To == client.StateReconnecting {
		delay := t.Delay.Milliseconds()
		r.Delay, r.again = &delay, t.From == t.To
	}
	if t.To == client.StateConnected {
		r.again = t.From == client.StateReconnecting
	}
	c.mu.Lock()
	c.state = t.To
	c.setPromptLocked()
	c.changeLocked()
	c.mu.Unlock()
	// The failure of the first attempt is the error of the program.
	if t.From != client.StateConnecting || t.To == client.StateConnected {
		c.printer.show(r)
	}
	if t.To == client.StateClosed {
		close(c.closed)
	}
}

// causeText returns why something ended, or nothing if the user has ended it.
func causeText(err error) string {
	if err == nil || errors.Is(err, client.ErrClosed) {
		return ""
	}
	return dial.TrimPackage(err)
}
