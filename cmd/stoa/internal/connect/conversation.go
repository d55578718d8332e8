package connect

import (
	"context"
	"sync"
	"time"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/cmd/stoa/internal/dial"
)

// conversation runs commands over a connection and shows its events.
type conversation struct {
	conn    *client.Conn // nil until it is connected
	printer *printer
	words   *vocabulary
	timeout time.Duration
	closed  chan struct{} // closed after the close of the connection was shown

	mu        sync.Mutex
	current   dial.Destination // guarded by mu; of emit and ask
	state     client.State     // guarded by mu; the last one shown
	refused   error            // guarded by mu; the first emit that the server has refused
	prompt    func(string)     // guarded by mu; sets the prompt; nil without one
	displayed map[any]bool     // guarded by mu; each *client.NSConn and *client.Room shown as entered
	changed   chan struct{}    // guarded by mu; closed and replaced when displayed or state changes
}

func newConversation(p *printer, timeout time.Duration) *conversation {
	return &conversation{
		printer: p, words: newVocabulary(), timeout: timeout, closed: make(chan struct{}),
		displayed: make(map[any]bool), changed: make(chan struct{}),
	}
}

func (c *conversation) setDisplayed(handle any, entered bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if entered {
		c.displayed[handle] = true
	} else {
		delete(c.displayed, handle)
	}
	c.changeLocked()
}

// changeLocked wakes all waiters.
func (c *conversation) changeLocked() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// wait waits until condition is true after a change. It calls condition with mu
// held. The timeout covers an output that blocks.
func (c *conversation) wait(ctx context.Context, condition func() bool) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	for {
		c.mu.Lock()
		met, changed := condition(), c.changed
		c.mu.Unlock()
		if met {
			return
		}
		select {
		case <-changed:
		case <-c.printer.broken:
			return
		case <-ctx.Done():
			return
		}
	}
}

// waitDisplayed waits until a room or namespace was shown as entered, or was
// left again. All earlier events were shown then, too.
func (c *conversation) waitDisplayed(ctx context.Context, handle any, isEntered func() bool) {
	c.wait(ctx, func() bool { return c.displayed[handle] || !isEntered() })
}

// waitGone waits until a room or namespace was shown as left.
func (c *conversation) waitGone(ctx context.Context, handle any) {
	c.wait(ctx, func() bool { return !c.displayed[handle] })
}

// enter connects to the namespaces and joins the rooms, in order, and waits
// until this was shown.
func (c *conversation) enter(ctx context.Context, memberships []dial.Membership) error {
	if err := dial.Join(ctx, c.conn, memberships); err != nil {
		return err
	}
	for _, ns := range c.conn.Namespaces() {
		c.waitDisplayed(ctx, ns, ns.IsConnected)
		for _, r := range ns.Rooms() {
			c.waitDisplayed(ctx, r, isJoined(r))
		}
	}
	return nil
}

func isJoined(r *client.Room) func() bool {
	return func() bool { return r.NSConn().Room(r.Name()) == r }
}

// finish waits until the server has received everything, and until all earlier
// events were shown. Emits that were queued without a connection are sent with
// the next one.
func (c *conversation) finish(ctx context.Context) error {
	c.wait(ctx, func() bool { return c.state != client.StateReconnecting })
	if err := dial.Confirm(ctx, c.conn); err != nil {
		return err
	}
	c.wait(ctx, func() bool { return len(c.displayed) == 0 })
	return nil
}

// close closes the connection and waits until this was shown, unless the output
// blocks. It returns an error if emits were not sent.
func (c *conversation) close() error {
	unsent := c.conn.Close()
	select {
	case <-c.closed:
	case <-c.printer.broken:
	case <-time.After(c.timeout):
	}
	if unsent != nil {
		return dial.Unreachable("some emits were not sent", unsent)
	}
	return nil
}

// destination returns the destination of emit and ask.
func (c *conversation) destination() dial.Destination {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current
}

func (c *conversation) setDestination(to dial.Destination) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = to
	c.setPromptLocked()
}

// onPrompt calls set with the prompt, now and after every change.
func (c *conversation) onPrompt(set func(string)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.prompt = set
	c.setPromptLocked()
}

func (c *conversation) setPromptLocked() {
	if c.prompt == nil {
		return
	}
	text := c.current.String()
	if c.state != client.StateConnected {
		text += " (" + c.state.String() + ")"
	}
	c.prompt(text + "> ")
}

// namespaces returns the names of the connected namespaces.
func (c *conversation) namespaces() []string {
	all := c.conn.Namespaces()
	names := make([]string, len(all))
	for i, ns := range all {
		names[i] = ns.Namespace()
	}
	return names
}

// joined reports whether a room of the current namespace is joined.
func (c *conversation) joined(room string) bool {
	ns := c.conn.Namespace(c.destination().Namespace)
	return ns != nil && ns.Room(room) != nil
}

func (c *conversation) memberships() []membership { return membershipsOf(c.conn) }

func membershipsOf(conn *client.Conn) []membership {
	all := []membership{}
	for _, ns := range conn.Namespaces() {
		rooms := []string{}
		for _, r := range ns.Rooms() {
			rooms = append(rooms, r.Name())
		}
		all = append(all, membership{ns.Namespace(), rooms})
	}
	return all
}
