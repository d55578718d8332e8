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
	ns := new(client.Namespace)
	ns.OnConnected(c.onConnected)
	ns.OnDisconnected(c.onDisconnected)
	ns.OnJoined(c.onJoined)
	ns.OnLeft(c.onLeft)
	ns.OnAnyEmit(func(_ context.Context, e *client.EmitEvent) error {
		c.showMessage(recordMessage, &e.Message, "")
		return nil
	})
	ns.OnAnyAsk(func(_ context.Context, r *client.AskRequest) error {
		c.showMessage(recordAsk, &r.Message, wire.ErrUnhandled.Error())
		return wire.ErrUnhandled
	})
	o.DefaultNamespace = ns
	o.OnNative = func(_ context.Context, e *client.NativeEvent) error {
		c.printer.show(record{Type: recordNative, body: e.Payload, Binary: e.Binary})
		return nil
	}
	o.OnRefused = c.onRefused
	o.OnState = c.onState
}

// onRefused shows that an emit has failed after all.
func (c *conversation) onRefused(_ context.Context, e *client.RefusedEvent) {
	err := dial.Refused(e)
	c.printer.show(record{
		Type: recordError, Namespace: e.Namespace, Room: e.Room, Event: e.Event, Command: "emit", Error: "emit: " + err.Error(),
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused == nil {
		c.refused = err
	}
}

// refusal returns the error of the first refused emit.
func (c *conversation) refusal() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refused
}

func (c *conversation) showMessage(kind recordType, m *client.Message, answered string) {
	c.words.addEvent(m.Event)
	c.printer.show(record{
		Type: kind, Namespace: m.Namespace, Room: m.Room, Event: m.Event, body: m.Body, Binary: m.Binary, Error: answered,
	})
}

func (c *conversation) onConnected(_ context.Context, e *client.ConnectedEvent) {
	namespace := e.NSConn.Namespace()
	c.words.addNamespace(namespace)
	c.printer.show(record{Type: recordConnected, Namespace: namespace})
	c.setDisplayed(e.NSConn, true)
}

func (c *conversation) onDisconnected(_ context.Context, e *client.DisconnectedEvent) {
	c.printer.show(record{
		Type: recordDisconnected, Namespace: e.NSConn.Namespace(), Forced: e.Forced, Error: causeText(e.Err),
	})
	c.setDisplayed(e.NSConn, false)
}

func (c *conversation) onJoined(_ context.Context, e *client.JoinedEvent) {
	namespace, room := e.Room.NSConn().Namespace(), e.Room.Name()
	c.words.addRoom(namespace, room)
	c.printer.show(record{Type: recordJoined, Namespace: namespace, Room: room})
	c.setDisplayed(e.Room, true)
}

func (c *conversation) onLeft(_ context.Context, e *client.LeftEvent) {
	c.printer.show(record{
		Type: recordLeft, Namespace: e.Room.NSConn().Namespace(), Room: e.Room.Name(), Forced: e.Forced, Error: causeText(e.Err),
	})
	c.setDisplayed(e.Room, false)
}

func (c *conversation) onState(_ context.Context, e *client.StateEvent) {
	r := record{
		Type: recordState, State: e.To.String(), ID: e.ID, Attempt: e.Attempt,
		Code: uint16(e.Code), Reason: e.Reason, Error: causeText(e.Err),
	}
	if e.To == client.StateReconnecting {
		delay := e.Delay.Milliseconds()
		r.Delay, r.again = &delay, e.From == e.To
	}
	if e.To == client.StateConnected && e.From == client.StateReconnecting {
		r.again = true
		// The client has rejoined without calling OnConnected and OnJoined.
		r.Namespaces = membershipsOf(e.Conn)
	}
	c.mu.Lock()
	c.state = e.To
	c.setPromptLocked()
	c.changeLocked()
	c.mu.Unlock()
	// The failure of the first attempt is the error of the program.
	if e.From != client.StateConnecting || e.To == client.StateConnected {
		c.printer.show(r)
	}
	if e.To == client.StateClosed {
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
