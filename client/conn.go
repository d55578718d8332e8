package client

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"sync"

	"github.com/stoa-io/stoa/internal/outbox"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// Conn is a client of one server. It outlives its connections: one that is lost
// is replaced by another, with another ID, in the same namespaces and rooms.
// All methods may be called from any goroutine and from any handler.
type Conn struct {
	options  Options        // immutable; with defaults
	address  *url.URL       // immutable
	sessions session.Config // immutable

	ctx      context.Context // canceled when the Conn is closed
	cancel   context.CancelFunc
	opened   chan struct{} // closed at the first connection
	done     chan struct{} // closed when the Conn is closed
	finished chan struct{} // closed when supervise has ended
	handlers handlerQueue

	mu         sync.Mutex
	state      State         // guarded by mu
	id         string        // guarded by mu; of the newest connection
	err        error         // guarded by mu; why the Conn is closed
	lastErr    error         // guarded by mu; of the newest failed attempt
	unsent     bool          // guarded by mu; closed before all emits were sent
	namespaces []*NSConn     // guarded by mu; in the order of connecting
	transport  *transport    // guarded by mu; nil while there is none
	changed    chan struct{} // guarded by mu; closed and replaced at every change
	buffer     buffer        // guarded by mu
	backoff    backoff       // guarded by mu
	outbox     outbox.Outbox // guarded by mu; of Room.Publish
}

// ID identifies the connection on the server; it changes with every reconnect.
// While the Conn is not connected, it is the ID of the last connection.
func (c *Conn) ID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.id
}

// State returns the current state.
func (c *Conn) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// IsClosed reports whether the Conn is closed for good.
func (c *Conn) IsClosed() bool { return c.State() == StateClosed }

// Done is closed when the Conn is closed for good. Handlers may still be
// running then.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err returns nil until Done is closed, and then the reason: ErrClosed after
// Close, else a CloseError, a RefusedError, or another error of the last
// connection or attempt.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// ConnectOptions are the options of ConnectWith.
type ConnectOptions struct {
	// Body is sent to the server's handler, also when the namespace is restored
	// after a reconnect. It must be valid UTF-8.
	Body []byte
}

// Connect connects to a namespace and waits until the server has answered. It
// returns at once if the namespace is connected already. While the Conn is not
// connected, Connect waits until it is or ctx is done. The error is the
// server's, ErrDisconnected if the connection was lost in the meantime,
// ErrClosed, or that of ctx; see Options.AskTimeout for a ctx without a
// deadline.
func (c *Conn) Connect(ctx context.Context, namespace string) (*NSConn, error) {
	return c.ConnectWith(ctx, namespace, ConnectOptions{})
}

// ConnectWith is Connect with options. NSConn.Reply returns the server's
// answer.
func (c *Conn) ConnectWith(ctx context.Context, namespace string, o ConnectOptions) (*NSConn, error) {
	if ns := c.Namespace(namespace); ns != nil {
		return ns, nil
	}
	if err := c.checkRequest(namespace, "", wire.EventNamespaceConnect, 0, o.Body); err != nil {
		return nil, err
	}
	connecting := newNSConn(c, namespace, o.Body)
	result, err := c.call(ctx, scope{}, func(s *session.Session) (uint64, error) {
		return s.AskConnect(nsRef{connecting}, connecting.body)
	})
	if err != nil {
		return nil, err
	}
	return result.namespace, nil
}

// WaitServerConnect waits until the namespace is connected, by the server or by
// another call. It returns at once if the namespace is connected already. The
// errors are ErrClosed and that of ctx; without a deadline it waits forever.
func (c *Conn) WaitServerConnect(ctx context.Context, namespace string) (*NSConn, error) {
	ctx, cancel := forgiving(ctx)
	defer cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if c.state == StateClosed {
			return nil, ErrClosed
		}
		if ns := c.find(namespace); ns != nil {
			return ns, nil
		}
		if err := c.wait(ctx); err != nil {
			return nil, err
		}
	}
}

// Namespace returns the namespace if it is connected, else nil. While the Conn
// is reconnecting, namespaces that it will restore count as connected.
func (c *Conn) Namespace(name string) *NSConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.find(name)
}

// Namespaces returns all connected namespaces, in the order of connecting. The
// caller owns the slice.
func (c *Conn) Namespaces() []*NSConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.namespaces)
}

// DisconnectAll disconnects from all namespaces at once. It tries all and joins
// the errors.
func (c *Conn) DisconnectAll(ctx context.Context) error {
	return each(c.Namespaces(), func(ns *NSConn) error { return ns.Disconnect(ctx) })
}

// Write emits a message. The namespace must be connected and the room, if it
// names one, joined: else the error is wire.ErrBadNamespace or wire.ErrBadRoom.
// See NSConn.Emit.
func (c *Conn) Write(m Message) error {
	if err := m.check(); err != nil {
		return err
	}
	return c.emit(&m, c.Namespace(m.Namespace), nil)
}

// WriteNative sends a message outside of the protocol, in a text or binary
// frame. While the Conn is not connected, the error is ErrDisconnected. The
// payload is not kept.
func (c *Conn) WriteNative(payload []byte, binary bool) error {
	if err := checkBody(payload, binary); err != nil {
		return err
	}
	if err := c.fits(len(payload)); err != nil {
		return err
	}
	return c.send(&queuedEmit{payload: slices.Clone(payload), binary: binary, native: true})
}

// Ask asks the server and waits for its answer. The namespace must be connected
// and the room, if the message names one, joined. While the Conn is not
// connected, Ask waits until it is or ctx is done. The error is the server's
// (one of package wire's or a wire.RemoteError), ErrDisconnected if the
// connection was lost in the meantime, ErrClosed, or that of ctx; see
// Options.AskTimeout for a ctx without a deadline.
func (c *Conn) Ask(ctx context.Context, m Message) (Answer, error) {
	ns := c.Namespace(m.Namespace)
	if ns == nil {
		return Answer{}, c.missing(wire.ErrBadNamespace)
	}
	return ns.ask(ctx, m)
}

// Close sends the queued emits and closes the Conn for good. It returns when
// both are done, at the latest after five seconds. Asks in flight fail with
// ErrClosed; OnLeft of all rooms and OnDisconnected of all namespaces are
// called with Forced, and then OnState. Close does not wait for handlers, so a
// handler may call it. The error is ErrUnsent if not all emits could be sent.
// Further calls wait and return the same.
func (c *Conn) Close() error {
	c.mu.Lock()
	c.finish(ErrClosed)
	c.mu.Unlock()
	c.handlers.discard()
	<-c.finished
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unsent {
		return ErrUnsent
	}
	return nil
}

// find is Namespace for callers that hold mu.
func (c *Conn) find(name string) *NSConn {
	for _, ns := range c.namespaces {
		if ns.name == name {
			return ns
		}
	}
	return nil
}

// missing returns err, or ErrClosed if the Conn is closed.
func (c *Conn) missing(err error) error {
	if c.IsClosed() {
		return ErrClosed
	}
	return err
}

// wait waits for a change. The caller holds mu, which is released in the
// meantime.
func (c *Conn) wait(ctx context.Context) error {
	changed := c.changed
	c.mu.Unlock()
	defer c.mu.Lock()
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// change wakes all waiters. The caller holds mu.
func (c *Conn) change() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// each calls all concurrently and joins the errors in order.
func each[T any](all []T, call func(T) error) error {
	errs := make([]error, len(all))
	var calls sync.WaitGroup
	for i, one := range all {
		calls.Go(func() { errs[i] = call(one) })
	}
	calls.Wait()
	return errors.Join(errs...)
}
