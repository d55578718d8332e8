package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/wire"
)

// dialogue is what "stoa connect" and its server have with each other: it shows what
// arrives and does what is typed.
type dialogue struct {
	conn    *client.Conn // nil until it is connected
	printer *printer
	words   *vocabulary
	timeout time.Duration
	closed  chan struct{} // closed when the end of the connection was shown

	mu      sync.Mutex
	current place         // guarded by mu; where emit and ask go
	state   client.State  // guarded by mu; as it was shown
	prompt  func(string)  // guarded by mu; changes the prompt; nil: there is none
	shown   map[any]bool  // guarded by mu; *client.NSConn and *client.Room that are shown as there
	changed chan struct{} // guarded by mu; closed and replaced when shown or state changes
}

func newDialogue(p *printer, timeout time.Duration) *dialogue {
	return &dialogue{
		printer: p, words: newVocabulary(), timeout: timeout, closed: make(chan struct{}),
		shown: make(map[any]bool), changed: make(chan struct{}),
	}
}

// observe adds the handlers that show what happens. They are called one after the
// other, so what they show is in order.
func (d *dialogue) observe(o *client.Options) {
	o.DefaultHandlers = &client.Handlers{
		OnConnected:    d.onConnected,
		OnDisconnected: d.onDisconnected,
		OnJoined:       d.onJoined,
		OnLeft:         d.onLeft,
		OnAnyEmit: func(_ context.Context, _ *client.NSConn, m *client.Message) error {
			d.showMessage(recordMessage, m, "")
			return nil
		},
		OnAnyAsk: func(_ context.Context, _ *client.NSConn, m *client.Message) ([]byte, error) {
			d.showMessage(recordQuestion, m, wire.ErrUnhandled.Error())
			return nil, wire.ErrUnhandled
		},
	}
	o.OnNative = func(_ context.Context, _ *client.Conn, payload []byte, binary bool) error {
		d.printer.show(record{Type: recordNative, body: payload, Binary: binary})
		return nil
	}
	o.OnState = d.onState
}

func (d *dialogue) showMessage(kind recordType, m *client.Message, answered string) {
	d.words.addEvent(m.Event)
	d.printer.show(record{
		Type: kind, Namespace: m.Namespace, Room: m.Room, Event: m.Event, body: m.Body, Binary: m.Binary, Error: answered,
	})
}

func (d *dialogue) onConnected(_ context.Context, ns *client.NSConn) {
	d.words.addNamespace(ns.Namespace())
	d.printer.show(record{Type: recordConnected, Namespace: ns.Namespace()})
	d.setShown(ns, true)
}

func (d *dialogue) onDisconnected(_ context.Context, ns *client.NSConn, forced bool, err error) {
	d.printer.show(record{Type: recordDisconnected, Namespace: ns.Namespace(), Forced: forced, Error: causeText(err)})
	d.setShown(ns, false)
}

func (d *dialogue) onJoined(_ context.Context, r *client.Room) {
	namespace := r.NSConn().Namespace()
	d.words.addRoom(namespace, r.Name())
	d.printer.show(record{Type: recordJoined, Namespace: namespace, Room: r.Name()})
	d.setShown(r, true)
}

func (d *dialogue) onLeft(_ context.Context, r *client.Room, forced bool, err error) {
	d.printer.show(record{
		Type: recordLeft, Namespace: r.NSConn().Namespace(), Room: r.Name(), Forced: forced, Error: causeText(err),
	})
	d.setShown(r, false)
}

func (d *dialogue) setShown(handle any, there bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if there {
		d.shown[handle] = true
	} else {
		delete(d.shown, handle)
	}
	d.change()
}

// change wakes whoever waits, with mu held.
func (d *dialogue) change() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// await waits until what was shown makes condition true, which is called with mu held.
// It does not wait for ever for an output that nobody reads.
func (d *dialogue) await(ctx context.Context, condition func() bool) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	for {
		d.mu.Lock()
		met, changed := condition(), d.changed
		d.mu.Unlock()
		if met {
			return
		}
		select {
		case <-changed:
		case <-d.printer.broken:
			return
		case <-ctx.Done():
			return
		}
	}
}

// awaitShown waits until a room or a namespace was shown as there, or as gone again.
// Everything that happened before was shown then, too.
func (d *dialogue) awaitShown(ctx context.Context, handle any, isThere func() bool) {
	d.await(ctx, func() bool { return d.shown[handle] || !isThere() })
}

// awaitGone waits until a room or a namespace was shown as gone.
func (d *dialogue) awaitGone(ctx context.Context, handle any) {
	d.await(ctx, func() bool { return !d.shown[handle] })
}

func (d *dialogue) onState(t client.Transition) {
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
	d.mu.Lock()
	d.state = t.To
	d.setPrompt()
	d.change()
	d.mu.Unlock()
	// The first attempt is the only one, and its failure the error of the command.
	if t.From != client.StateConnecting || t.To == client.StateConnected {
		d.printer.show(r)
	}
	if t.To == client.StateClosed {
		close(d.closed)
	}
}

// causeText is why something ended; the user's own wish is no cause.
func causeText(err error) string {
	if err == nil || errors.Is(err, client.ErrClosed) {
		return ""
	}
	return plainText(err)
}

// enter connects to the namespaces and joins the rooms, in order, and waits until that
// was shown.
func (d *dialogue) enter(ctx context.Context, named []namedPlaces) error {
	if err := enter(ctx, d.conn, named); err != nil {
		return err
	}
	for _, ns := range d.conn.Namespaces() {
		d.awaitShown(ctx, ns, ns.IsConnected)
		for _, r := range ns.Rooms() {
			d.awaitShown(ctx, r, isJoined(r))
		}
	}
	return nil
}

func isJoined(r *client.Room) func() bool {
	return func() bool { return r.NSConn().Room(r.Name()) == r }
}

// finish waits until the server has got everything and all that came before its answer
// was shown. What was kept while there was no connection goes out with the next one.
func (d *dialogue) finish(ctx context.Context) error {
	d.await(ctx, func() bool { return d.state != client.StateReconnecting })
	if err := confirm(ctx, d.conn); err != nil {
		return err
	}
	d.await(ctx, func() bool { return len(d.shown) == 0 })
	return nil
}

// close closes the connection and waits until that was shown, unless the output is not
// read. The error is that something emitted was not sent.
func (d *dialogue) close() error {
	unsent := d.conn.Close()
	select {
	case <-d.closed:
	case <-d.printer.broken:
	case <-time.After(d.timeout):
	}
	if unsent != nil {
		return unreachable("not everything that was emitted has been sent", unsent)
	}
	return nil
}

// here is where emit and ask go.
func (d *dialogue) here() place {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.current
}

// moveTo makes another place the one where emit and ask go.
func (d *dialogue) moveTo(to place) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.current = to
	d.setPrompt()
}

// onPrompt lets change know the prompt, now and whenever it is another one.
func (d *dialogue) onPrompt(change func(string)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.prompt = change
	d.setPrompt()
}

// setPrompt is called with mu held.
func (d *dialogue) setPrompt() {
	if d.prompt == nil {
		return
	}
	text := d.current.String()
	if d.state != client.StateConnected {
		text += " (" + d.state.String() + ")"
	}
	d.prompt(text + "> ")
}

// namespaces are the names of the connected ones.
func (d *dialogue) namespaces() []string {
	all := d.conn.Namespaces()
	names := make([]string, len(all))
	for i, ns := range all {
		names[i] = ns.Namespace()
	}
	return names
}

// joined reports whether a room of the present namespace is joined.
func (d *dialogue) joined(room string) bool {
	ns := d.conn.Namespace(d.here().namespace)
	return ns != nil && ns.Room(room) != nil
}

func (d *dialogue) memberships() []membership {
	all := []membership{}
	for _, ns := range d.conn.Namespaces() {
		rooms := []string{}
		for _, r := range ns.Rooms() {
			rooms = append(rooms, r.Name())
		}
		all = append(all, membership{ns.Namespace(), rooms})
	}
	return all
}
